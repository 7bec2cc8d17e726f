"""Control tracks of the vocal tract: step-wise articulation targets, then smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voicediff.corpora.csd.articulation import CONSONANTS, Consonant, Formants, noise_bands, nucleus
from voicediff.corpora.csd.performance import TimedNote, smooth
from voicediff.corpora.csd.voice import CONTROL, Noise, Track, Tracks


def control_tracks(
    timed: list[TimedNote], f0: Track, scale: float, rng: np.random.Generator
) -> tuple[Tracks, list[Noise]]:
    """All control tracks and the noises of a song."""
    targets = _Targets.rest(len(f0))
    noises: list[Noise] = []
    phrases = {note.phrase for note in timed}
    qualities = {phrase: _VoiceQuality.draw(rng) for phrase in sorted(phrases)}
    for index, note in enumerate(timed):
        quality = qualities[note.phrase].vary(rng)
        last = index + 1 == len(timed) or not timed[index + 1].joined
        _set_note(targets, noises, note, quality, last, rng)
        if not note.joined and rng.random() < 0.6:
            _set_inhale(targets, note.onset, timed[index - 1].end if index else 0.0, rng)
    return targets.tracks(f0, scale, rng), noises


@dataclass(frozen=True)
class _VoiceQuality:
    """Level, breathiness, spectral tilt and formant scales of a phrase, varied for each note."""

    level: float
    breath: float
    tilt: float
    formants: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _VoiceQuality:
        return cls(
            10 ** (rng.normal(0, 1.8) / 20),
            0.003 * 10 ** (rng.normal(0, 4.0) / 20),
            2600 * 2 ** rng.normal(0, 0.45),
            1 + 0.025 * rng.standard_normal(5),
        )

    def vary(self, rng: np.random.Generator) -> _VoiceQuality:
        return _VoiceQuality(
            self.level * 10 ** (rng.normal(0, 1.2) / 20),
            self.breath * 10 ** (rng.normal(0, 2.0) / 20),
            self.tilt * 2 ** rng.normal(0, 0.2),
            self.formants * (1 + 0.025 * rng.standard_normal(5)),
        )


@dataclass
class _Targets:
    """Articulation targets by control frame, before smoothing."""

    formants: Track
    bandwidth: Track
    voicing: Track
    breath: Track
    zero: Track
    tilt: Track

    @classmethod
    def rest(cls, count: int) -> _Targets:
        return cls(
            np.full((count, 5), np.nan),
            np.ones(count),
            np.zeros(count),
            np.zeros(count),
            np.full(count, 280.0),
            np.full(count, 2600.0),
        )

    def set(self, start: float, end: float, **values: object) -> None:
        part = slice(max(round(start * CONTROL), 0), max(round(end * CONTROL), 0))
        for name, value in values.items():
            getattr(self, name)[part] = value

    def tracks(self, f0: Track, scale: float, rng: np.random.Generator) -> Tracks:
        formants = smooth(_hold(self.formants), 0.055) * scale
        # singers raise F1 with F0
        formants[:, 0] = np.maximum(formants[:, 0], 1.02 * f0)
        formants[:, 1] = np.maximum(formants[:, 1], formants[:, 0] + 180)
        wide = smooth(self.bandwidth, 0.03)[:, None]
        bandwidths = wide * np.array([85.0, 95.0, 140.0, 200.0, 260.0])
        return Tracks(
            f0,
            formants,
            bandwidths,
            np.clip(smooth(self.voicing, 0.016), 0, None),
            np.clip(smooth(self.breath, 0.012), 0, None),
            smooth(self.zero, 0.02),
            smooth(self.tilt, 0.05),
            0.0012,
        )


def _set_note(
    targets: _Targets,
    noises: list[Noise],
    note: TimedNote,
    quality: _VoiceQuality,
    last: bool,
    rng: np.random.Generator,
) -> None:
    begin, held = nucleus(note.note.phones.nucleus)
    held = tuple(np.array(held) * quality.formants)
    begin = None if begin is None else tuple(np.array(begin) * quality.formants)
    first = held if begin is None else begin
    _set_onset(targets, noises, note, first, quality, rng)
    targets.set(note.vowel, note.end, formants=held, bandwidth=1.0, zero=280.0)
    targets.set(note.vowel, note.end, breath=quality.breath, tilt=quality.tilt)
    if begin is not None:
        glide = min(0.075 * rng.uniform(0.8, 1.3), 0.4 * (note.coda - note.vowel))
        targets.set(note.vowel - 0.02, note.vowel + glide, formants=begin)
    _shape_level(targets, note, quality, last)
    for phone in note.note.phones.coda:
        _set_coda(targets, phone, note, held, quality)


def _shape_level(targets: _Targets, note: TimedNote, quality: _VoiceQuality, last: bool) -> None:
    """Level of a note: attack, slow decay, and release at the end of a phrase."""
    part = slice(round(note.vowel * CONTROL), round(note.end * CONTROL))
    count = len(targets.voicing[part])
    t = np.arange(count) / CONTROL
    left = (count - np.arange(count)) / CONTROL
    shape = quality.level * (0.88 + 0.12 * np.exp(-t / 0.3))
    if not note.joined:
        shape *= np.clip(0.35 + t / 0.06, 0, 1)
    if last:
        shape *= np.clip(left / 0.09, 0, 1) ** 0.7
    targets.voicing[part] = shape


def _set_onset(
    targets: _Targets,
    noises: list[Noise],
    note: TimedNote,
    vowel: Formants,
    quality: _VoiceQuality,
    rng: np.random.Generator,
) -> None:
    onsets = note.note.phones.onset
    whole = sum(CONSONANTS[p].seconds for p in onsets) or 1.0
    at = note.onset
    for phone in onsets:
        consonant = CONSONANTS[phone]
        length = (note.vowel - note.onset) * consonant.seconds / whole
        _set_consonant(targets, noises, consonant, at, length, vowel, quality, note.joined, rng)
        at += length


def _set_consonant(
    targets: _Targets,
    noises: list[Noise],
    consonant: Consonant,
    start: float,
    length: float,
    vowel: Formants,
    quality: _VoiceQuality,
    joined: bool,
    rng: np.random.Generator,
) -> None:
    end = start + length
    shrink = length / consonant.seconds  # short notes have shorter consonants
    targets.set(start, end, formants=_towards(consonant, vowel), tilt=quality.tilt)
    loud = quality.level
    if consonant.kind == "nasal":
        targets.set(start, end, voicing=0.55 * loud, zero=consonant.zero, bandwidth=1.8)
    elif consonant.kind in ("liquid", "flap"):
        dip = 0.6 if consonant.kind == "liquid" else 0.35
        targets.set(start, end, voicing=dip * loud, bandwidth=1.6, breath=quality.breath)
    elif consonant.kind == "breath":
        murmur = 0.25 * loud if joined else 0.0
        targets.set(start, end, formants=vowel, voicing=murmur, breath=0.07 * loud, bandwidth=1.6)
    else:
        _set_obstruent(
            targets, noises, consonant, (start, end, shrink), vowel, quality, joined, rng
        )


def _set_obstruent(
    targets: _Targets,
    noises: list[Noise],
    consonant: Consonant,
    span: tuple[float, float, float],
    vowel: Formants,
    quality: _VoiceQuality,
    joined: bool,
    rng: np.random.Generator,
) -> None:
    """Closure, release noise and aspiration; lax stops between vowels stay voiced."""
    start, end, shrink = span
    lax = consonant.kind == "stop" and consonant.raises == 0 and joined
    aspiration = consonant.aspiration * shrink * (0.3 if lax else 1.0)
    hiss = consonant.burst * shrink * rng.uniform(0.85, 1.15)
    release = max(end - aspiration - hiss, start)
    gain = (
        0.4
        * consonant.gain
        * quality.level
        * 10 ** (rng.normal(0, 2.0) / 20)
        * (0.5 if lax else 1.0)
    )
    targets.set(start, end, voicing=0.22 * quality.level if lax else 0.0, breath=0.0)
    breath = (0.075 if consonant.raises else 0.05) * quality.level
    targets.set(end - aspiration, end, formants=vowel, breath=breath, bandwidth=1.5)
    soft = consonant.kind != "stop"
    noises.append(
        Noise(
            release,
            max(hiss, 0.004),
            gain,
            noise_bands(consonant, vowel, float(quality.formants[3])),
            0.3 * hiss if soft else 0.0007,
            max(0.35 * hiss if soft else hiss, 0.002),
        )
    )


def _set_coda(
    targets: _Targets, phone: str, note: TimedNote, vowel: Formants, quality: _VoiceQuality
) -> None:
    """Codas: nasals and l are voiced; k, t and p are closures without release."""
    consonant = CONSONANTS[phone]
    target = _towards(consonant, vowel)
    part = slice(round(note.coda * CONTROL), round(note.end * CONTROL))
    if consonant.kind == "nasal":
        targets.set(note.coda, note.end, formants=target, zero=consonant.zero, bandwidth=1.8)
        targets.voicing[part] *= 0.55
    elif consonant.kind == "liquid":
        targets.set(note.coda, note.end, formants=target, bandwidth=1.5)
        targets.voicing[part] *= 0.65
    else:
        targets.set(note.coda - 0.03, note.end, formants=target)
        targets.set(note.coda, note.end, voicing=0.0, breath=0.0)


def _set_inhale(targets: _Targets, end: float, begin: float, rng: np.random.Generator) -> None:
    """A breath before a phrase, in a rest that is long enough."""
    length = min(rng.uniform(0.18, 0.35), 0.6 * (end - begin))
    stop = end - rng.uniform(0.03, 0.08)
    if length < 0.12:
        return
    part = slice(round((stop - length) * CONTROL), round(stop * CONTROL))
    count = len(targets.breath[part])
    targets.breath[part] = 0.012 * rng.uniform(0.5, 1.5) * np.hanning(count + 2)[1:-1]
    targets.set(stop - length, stop, formants=(650, 1700, 2800, 4000, 5000), bandwidth=2.5)


def _towards(consonant: Consonant, vowel: Formants) -> Formants:
    """Formants between the vowel and the locus of the consonant."""
    moved = [
        consonant.pull * locus + (1 - consonant.pull) * formant
        for locus, formant in zip(consonant.locus, vowel, strict=False)
    ]
    if consonant.kind not in ("breath", "fricative"):
        moved[0] = consonant.locus[0]
    return (moved[0], moved[1], moved[2], vowel[3], vowel[4])


def _hold(formants: Track) -> Track:
    """Fill undefined formants with the nearest defined ones; rests are divided in the middle."""
    known = np.flatnonzero(~np.isnan(formants[:, 0]))
    boundaries = (known[:-1] + known[1:]) / 2
    return formants[known[np.searchsorted(boundaries, np.arange(len(formants)))]]
