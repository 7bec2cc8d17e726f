"""Lip movements from phonemes: visual targets, coarticulation, and random deviations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from voicediff.corpora.lrs3.speech import Phone

RATE = 200  # Hz of the lip trajectories before they are sampled at the frames
_SMOOTH = 0.070 / 2.355  # s; Gaussian of 70 ms full width at half maximum

# opening (0 closed .. 1), width (-1 narrow .. 1 spread), rounding (0 .. 1), visible teeth (0 .. 1)
Target = tuple[float, float, float, float]
_REST = (0.03, 0.0, 0.0, 0.0)
_VOWELS = {
    "a": (0.95, 0.25, 0.0, 0.35),
    "A": (1.0, 0.0, 0.1, 0.2),
    "0": (0.85, -0.05, 0.2, 0.15),
    "V": (0.65, 0.1, 0.0, 0.3),
    "@": (0.4, 0.0, 0.0, 0.3),
    "3": (0.4, -0.15, 0.35, 0.25),
    "E": (0.6, 0.35, 0.0, 0.45),
    "e": (0.55, 0.4, 0.0, 0.5),
    "I": (0.38, 0.45, 0.0, 0.55),
    "i": (0.28, 0.7, 0.0, 0.6),
    "U": (0.35, -0.35, 0.6, 0.15),
    "u": (0.22, -0.5, 0.9, 0.05),
    "O": (0.65, -0.3, 0.7, 0.1),
    "o": (0.55, -0.35, 0.8, 0.1),
}
_CONSONANTS = {
    "p": (0.0, 0.0, 0.05, 0.0),
    "b": (0.0, 0.0, 0.0, 0.0),
    "m": (0.0, 0.05, 0.0, 0.0),
    "f": (0.1, 0.1, 0.0, 0.9),
    "v": (0.12, 0.1, 0.0, 0.85),
    "T": (0.22, 0.1, 0.0, 0.7),
    "D": (0.22, 0.1, 0.0, 0.7),
    "s": (0.15, 0.4, 0.0, 0.95),
    "z": (0.15, 0.4, 0.0, 0.95),
    "S": (0.22, -0.3, 0.5, 0.85),
    "Z": (0.22, -0.3, 0.5, 0.85),
    "t": (0.22, 0.2, 0.0, 0.7),
    "d": (0.24, 0.2, 0.0, 0.65),
    "n": (0.27, 0.15, 0.0, 0.55),
    "l": (0.33, 0.15, 0.0, 0.5),
    "r": (0.25, -0.3, 0.45, 0.3),
    "k": (0.3, 0.1, 0.0, 0.35),
    "g": (0.3, 0.1, 0.0, 0.35),
    "N": (0.3, 0.1, 0.0, 0.35),
    "h": (0.4, 0.05, 0.0, 0.25),
    "w": (0.1, -0.5, 0.95, 0.0),
    "j": (0.22, 0.45, 0.0, 0.5),
}
_CLOSED = ("p", "b", "m")
_POSTALVEOLAR = ("tS", "dZ")


@dataclass(frozen=True)
class Articulation:
    """Precision and strength of the lip movements in one clip.

    Attributes:
        gain: factor on opening, width and rounding.
        offset: seconds by which the video lags behind the sound.
        jitter: standard deviation of the displacement of each phoneme, seconds.
        lead: seconds by which rounding and width precede the sound (opening: a third of it).
        spread: standard deviation of the gain of each target.
    """

    gain: float = 1.0
    offset: float = 0.0
    jitter: float = 0.012
    lead: float = 0.06
    spread: float = 0.15


@dataclass(frozen=True)
class Lips:
    """Lip shape at each frame, each (T,): for ranges see `Target`."""

    opening: np.ndarray
    width: np.ndarray
    rounding: np.ndarray
    teeth: np.ndarray


def lip_motion(
    phones: Sequence[Phone],
    frames: int,
    how: Articulation,
    rng: np.random.Generator,
    fps: float = 25.0,
) -> Lips:
    """Lip shapes in the middle of each frame; frame k lasts from k / fps to (k + 1) / fps.

    The target of each phoneme, randomly displaced and scaled, holds for its duration; a Gaussian of
    70 ms full width at half maximum smooths the trajectories. Bilabials always close the lips.
    """
    length = int(np.ceil(frames / fps * RATE)) + 1
    times = np.arange(length) / RATE
    targets = np.tile(np.array(_REST), (length, 1))
    closed = np.zeros(length)
    for phone, (start, end), target in _segments(phones):
        shift = how.offset + how.jitter * rng.standard_normal()
        scale = how.gain * (1 + how.spread * rng.standard_normal()) if target[0] > 0.05 else 1.0
        scale = np.clip(scale, 0.3, 1.8)
        wanted = np.array([target[0] * scale, target[1] * scale, target[2] * scale, target[3]])
        for column, lead in enumerate((how.lead / 3, how.lead, how.lead, how.lead / 3)):
            inside = (times >= start + shift - lead) & (times < end + shift)
            targets[inside, column] = wanted[column]
        if phone.name[:1] in _CLOSED:
            closed[(times >= start + shift - 0.01) & (times < end + shift - 0.01)] = 1.0
    smooth = gaussian_filter1d(targets, _SMOOTH * RATE, axis=0, mode="nearest")
    smooth[:, 0] *= 1 - gaussian_filter1d(closed, 0.012 * RATE, mode="nearest").clip(0, 1)
    middles = (np.arange(frames) + 0.5) / fps
    opening, width, rounding, teeth = (np.interp(middles, times, column) for column in smooth.T)
    return Lips(
        opening.clip(0, 1.3), width.clip(-1.2, 1.2), rounding.clip(0, 1.2), teeth.clip(0, 1)
    )


def _segments(phones: Sequence[Phone]) -> Iterator[tuple[Phone, tuple[float, float], Target]]:
    """(phone, (start, end), target): one segment per phoneme, two for a diphthong."""
    for phone in phones:
        targets = _targets(phone.name)
        edges = np.linspace(phone.start, phone.end, len(targets) + 1)
        for index, target in enumerate(targets):
            yield phone, (edges[index], edges[index + 1]), target


def _targets(name: str) -> list[Target]:
    if name.startswith(_POSTALVEOLAR):
        return [_CONSONANTS["S"]]
    if name[:1] in _CONSONANTS:
        return [_CONSONANTS[name[0]]]
    vowels = [_VOWELS[letter] for letter in name if letter in _VOWELS]
    return vowels[:2] if vowels else [_REST]
