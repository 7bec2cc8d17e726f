"""Rule-based singing synthesis: a score with phones becomes control tracks and a waveform.

Consonants precede their note, and the vowel begins with it. Notes are joined by a portamento of
80 ms; long notes have a delayed vibrato of about 5.4 Hz. The seed of a song determines everything
that varies between performances: breathiness, spectral tilt and formants (per phrase and note),
level, scoops, vibrato, drift, onset times and consonant durations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voicediff.corpora.csd.gestures import control_tracks
from voicediff.corpora.csd.performance import SungNote, melody, perform
from voicediff.corpora.csd.voice import CONTROL, RATE, render

__all__ = ["Singing", "SungNote", "sing"]
_LOUDNESS = 0.085  # root mean square of sung parts


@dataclass
class Singing:
    """A performance: waveform (N,) at 44.1 kHz, and F0 (n,) in Hz at CONTROL values per second."""

    wav: np.ndarray
    f0: np.ndarray


def sing(notes: list[SungNote], duration: float, rng: np.random.Generator) -> Singing:
    """Perform `notes` (in time order, without overlaps) in `duration` seconds."""
    timed = perform(notes, rng)
    count = round(duration * CONTROL)
    scale = 1 + 0.01 * rng.standard_normal()
    f0 = melody(timed, count, rng)
    tracks, noises = control_tracks(timed, f0, scale, rng)
    wav = render(tracks, noises, scale, rng)
    voicing = np.interp(np.arange(len(wav)) * (CONTROL / RATE), np.arange(count), tracks.voicing)
    level = np.sqrt(np.mean(wav[voicing > 0.1] ** 2))
    wav *= np.float32(_LOUDNESS * 10 ** (rng.normal(0, 1.0) / 20) / level)
    wav += np.float32(1.2e-4) * _background(len(wav), rng)
    wav *= np.float32(min(1.0, 0.95 / np.abs(wav).max()))
    return Singing(wav, np.where(tracks.voicing > 0.05, f0, 0.0))


def _background(count: int, rng: np.random.Generator) -> np.ndarray:
    """Background noise, stronger at low frequencies."""
    noise = rng.standard_normal(count, np.float32)
    noise[1:] += 0.6 * noise[:-1]
    return noise
