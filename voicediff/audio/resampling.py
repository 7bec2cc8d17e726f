"""Sample rate conversion of complete waveforms with the SoX resampler (package soxr)."""

from __future__ import annotations

import numpy as np
import soxr


def resampled(sound: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """`sound` (N,) at `rate` as (round(N * wanted / rate),) at `wanted` (both Hz, or a ratio).

    Linear phase, without delay. The pass band ends at 0.913 of the lower Nyquist frequency;
    aliases are attenuated by more than 120 dB (SoX quality VHQ).
    """
    if rate == wanted:
        return sound
    return soxr.resample(sound, rate, wanted, quality="VHQ")


def stretched(sound: np.ndarray, samples: int) -> np.ndarray:
    """Resample (N,) to (samples,): speed, pitch and formants scale by N / samples."""
    if len(sound) == samples:
        return sound
    played = resampled(sound, len(sound), samples)[:samples]
    return np.pad(played, (0, samples - len(played)))
