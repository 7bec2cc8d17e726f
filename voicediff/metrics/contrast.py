"""Contrast of the harmonics against the spectrum between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register

_BLOCK = 512  # frames at once


@register("metric", "harmonic_contrast")
class HarmonicContrast(Metric):
    """Level of harmonics 1 to 8 above the valleys between them, in dB, in voiced frames.

    From the spectrum of the waveform (Hann window of `window` seconds, centred like the mel frames)
    at multiples of its own F0: mean over frames and harmonics h of

        L(h f0) - (L((h - 1/2) f0) + L((h + 1/2) f0)) / 2,   L = 10 log10 |X|^2.

    Noise in the mel fills the valleys, over-smoothing lowers the peaks. A steady pitch gives higher
    values than vibrato, and the vocoder limits them: compare with copy synthesis through the same
    vocoder, not with the recording. With a vocoder driven by F0 it hardly depends on the mel.
    """

    needs = ("wav", "f0")

    def __init__(self, harmonics: int = 8, window: float = 0.06):
        self.harmonics, self.window = harmonics, window

    def measure(self, pair: Pair) -> tuple[float, int]:
        f0 = pair.generated.f0.astype(np.float64)
        rate, hop = pair.spec.sample_rate, pair.spec.hop
        size = 2 * round(self.window * rate / 2)
        wav = np.pad(pair.generated.wav.astype(np.float64), size)
        windows = np.lib.stride_tricks.sliding_window_view(wav, size)
        voiced = np.flatnonzero(f0)
        total, count = 0.0, 0
        for i in range(0, len(voiced), _BLOCK):
            frames = voiced[i : i + _BLOCK]
            starts = frames * hop + hop // 2 - size // 2 + size
            contrast = self._contrast(windows[starts], f0[frames], rate)
            total, count = total + np.nansum(contrast), count + np.isfinite(contrast).sum()
        return float(total), int(count)

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"harmonic_contrast": share(measured)}

    def _contrast(self, frames: np.ndarray, f0: np.ndarray, rate: int) -> np.ndarray:
        """(T, harmonics) in dB, nan where a harmonic or its upper valley is above rate / 2."""
        size = frames.shape[1]
        fft = 4 * size  # interpolates between bins
        window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
        power = np.abs(np.fft.rfft(frames * window, fft)) ** 2
        level = 10 * np.log10(power + 1e-10)
        places = np.arange(1, 2 * self.harmonics + 2) / 2 * f0[:, None] * fft / rate
        low = np.minimum(places.astype(int), level.shape[1] - 2)
        rows = np.arange(len(f0))[:, None]
        part = places - low
        found = (1 - part) * level[rows, low] + part * level[rows, low + 1]
        found = np.where(places <= level.shape[1] - 1, found, np.nan)
        peaks, valleys = found[:, 1::2], found[:, 0::2]
        return peaks - (valleys[:, :-1] + valleys[:, 1:]) / 2
