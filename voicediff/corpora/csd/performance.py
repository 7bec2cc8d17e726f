"""Timing and F0 of a performance: onsets, codas, portamento, scoops and vibrato."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from voicediff.corpora.csd.articulation import CONSONANTS
from voicediff.corpora.csd.voice import CONTROL, Track
from voicediff.text.phones import Syllable

PORTAMENTO = 0.080  # seconds from note to note
_JOINED = 0.06  # seconds; a shorter rest does not end a phrase


@dataclass(frozen=True)
class SungNote:
    """A note as written: seconds, MIDI number, phones; `slur` continues the previous syllable."""

    start: float
    end: float
    pitch: int
    phones: Syllable
    slur: bool = False


@dataclass
class TimedNote:
    """A note as performed: onset from `onset`, nucleus from `vowel`, coda from `coda` to `end`."""

    note: SungNote
    onset: float
    vowel: float
    coda: float
    end: float
    joined: bool  # to the note before it
    phrase: int


def perform(notes: list[SungNote], rng: np.random.Generator) -> list[TimedNote]:
    """Times of onset, vowel and coda; onsets take their time from the preceding rest or note."""
    vowels = [n.start if n.slur else n.start + _bounded(rng, 0.006, 0.012) for n in notes]
    timed: list[TimedNote] = []
    phrase = 0
    for index, note in enumerate(notes):
        before = notes[index - 1] if index else None
        joined = before is not None and note.start - before.end < _JOINED
        phrase += not joined
        available = 0.45 * (vowels[index] - vowels[index - 1]) if index else note.start
        wanted = sum(CONSONANTS[p].seconds for p in note.phones.onset) * rng.uniform(0.75, 1.25)
        onset = max(vowels[index] - min(wanted, available), 0.0)
        timed.append(TimedNote(note, onset, vowels[index], 0.0, 0.0, joined, phrase))
    for this, following in itertools.pairwise([*timed, None]):
        end = max(this.note.end + _bounded(rng, 0.008, 0.015), this.vowel + 0.03)
        if following is not None:
            end = following.onset if following.joined else min(end, following.onset)
        coda = sum(_coda_seconds(p) for p in this.note.phones.coda) * rng.uniform(0.8, 1.25)
        this.end = end
        this.coda = end - min(coda, 0.4 * max(end - this.vowel, 0.0))
    return timed


def _coda_seconds(phone: str) -> float:
    return {"m": 0.10, "n": 0.09, "ng": 0.11, "l": 0.08}.get(phone, 0.06)


def melody(timed: list[TimedNote], count: int, rng: np.random.Generator) -> Track:
    """The sung F0 (count,) in Hz."""
    time = np.arange(count) / CONTROL
    changes = [note.vowel - 0.012 for note in timed[1:]]
    for index, note in enumerate(timed[1:]):
        if not note.joined:  # after a rest, F0 changes in the middle of it
            changes[index] = (timed[index].end + note.onset) / 2
    detune = rng.normal(0, 0.05, len(timed))
    written = np.array([note.note.pitch for note in timed]) + detune
    pitch = (
        written[np.searchsorted(changes, time, side="right")] if changes else written[0] + 0 * time
    )
    pitch = smooth(pitch, PORTAMENTO)
    for note in timed:
        pitch += _ornament(note, time, rng)
    pitch += (
        smooth(rng.standard_normal(count), 0.5) * 0.6
        + smooth(rng.standard_normal(count), 0.06) * 0.12
    )
    return 440 * 2 ** ((pitch - 69) / 12)


def _ornament(note: TimedNote, time: Track, rng: np.random.Generator) -> Track:
    """Scoop, vibrato and the consonant's F0 rise of one note, in semitones (n,)."""
    since = time - note.vowel
    length = note.end - note.vowel
    inside = (since >= -0.05) & (time < note.end + 0.02)
    added = np.zeros(len(time))
    scooped = not note.note.slur and length > 0.12 and rng.random() < 0.4
    depth, reach = rng.uniform(0.4, 1.8), rng.uniform(0.03, 0.07)
    rate, width, begin = rng.normal(5.4, 0.25), rng.uniform(0.12, 0.5), rng.uniform(0.18, 0.35)
    start_phase = rng.uniform(0, 2 * np.pi)
    t = since[inside]
    if scooped:
        added[inside] -= depth * np.exp(-np.maximum(t, 0) / reach)
    if length > 0.45:
        swell = np.clip((t - begin) / 0.3, 0, 1) * np.clip((length - t) / 0.1, 0, 1)
        added[inside] += width * swell * np.sin(2 * np.pi * rate * t + start_phase)
    rise = sum(CONSONANTS[p].raises for p in note.note.phones.onset) / 100
    added[inside] += rise * np.exp(-np.maximum(t, 0) / 0.035)
    return added if note.joined is False else smooth(added, 0.03)


def smooth(track: Track, seconds: float) -> Track:
    """Weighted mean over a Hann window of `seconds`, along the first axis."""
    reach = max(round(seconds * CONTROL / 2), 1)
    kernel = np.hanning(2 * reach + 3)[1:-1]
    kernel /= kernel.sum()
    if track.ndim == 2:
        return np.stack([smooth(column, seconds) for column in track.T], 1)
    return np.convolve(np.pad(track, reach, mode="edge"), kernel, "valid")


def _bounded(rng: np.random.Generator, deviation: float, most: float) -> float:
    return float(np.clip(rng.normal(0, deviation), -most, most))
