"""Log-mel metrics: distance, variance and temporal modulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register

DECIBEL = 20 / np.log(10)  # dB per natural-log unit of magnitude


@register("metric", "log_mel_error")
class LogMelError(Metric):
    """Mean absolute difference of the log-mels in dB: 20/ln 10 mean |m - m'|; favours smoothing.

    Over all bins and frames of the mel that the model predicts. The mean of all possible renditions
    has the smallest error and sounds muffled: for Gaussian deviations, the error of a sample from
    the true distribution is about 1.4 (sqrt 2) times that of the mean.
    """

    def measure(self, pair: Pair) -> tuple[float, int]:
        difference = np.abs(pair.reference.mel.astype(np.float64) - pair.generated.mel)
        return DECIBEL * float(difference.sum()), difference.size

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"log_mel_error": share(measured)}


@register("metric", "variance_ratio")
class VarianceRatio(Metric):
    """Global variance of the log-mel over time, relative to the recording's; 1 is natural.

    Squared deviations of each bin from its mean over the line, summed over bins, frames and lines,
    generated over reference (after Toda & Tokuda 2007). Below 1 means over-smoothed. Noise raises
    the value as real detail does. The contrast between notes and rests dominates it: a muffled mel
    still reaches 0.9.
    """

    def measure(self, pair: Pair) -> tuple[float, float]:
        return _deviation(pair.generated.mel), _deviation(pair.reference.mel)

    def pool(self, measured: Sequence[tuple[float, float]]) -> dict[str, float]:
        return {"variance_ratio": share(measured)}


@register("metric", "modulation_ratio")
class ModulationRatio(Metric):
    """Energy of temporal modulation of the mel bands, relative to the recording's; 1 is natural.

    Power spectra of each band's log-mel in Hann windows of `window` seconds, half overlapping, after
    removal of the mean; energy between `low` and `high` Hz summed over bands, windows and lines,
    generated over reference. Consonants, vibrato and breath have their energy in this range, so the
    value shows smoothing that `variance_ratio` misses. Noise raises it too: above 1 is not better.
    """

    def __init__(self, window: float = 0.75, low: float = 4.0, high: float = 30.0):
        self.window, self.low, self.high = window, low, high

    def measure(self, pair: Pair) -> tuple[float, float]:
        rate = pair.spec.frame_rate
        return self._energy(pair.generated.mel, rate), self._energy(pair.reference.mel, rate)

    def pool(self, measured: Sequence[tuple[float, float]]) -> dict[str, float]:
        return {"modulation_ratio": share(measured)}

    def _energy(self, mel: np.ndarray, rate: float) -> float:
        size = min(2 * round(self.window * rate / 2), mel.shape[1])
        if size < 4:
            return 0.0
        windows = np.lib.stride_tricks.sliding_window_view(mel.astype(np.float64), size, axis=1)
        windows = windows[:, :: size // 2]
        windows = windows - windows.mean(-1, keepdims=True)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
        power = np.abs(np.fft.rfft(windows * hann)) ** 2
        frequency = np.fft.rfftfreq(size, 1 / rate)
        return float(power[..., (frequency >= self.low) & (frequency <= self.high)].sum())


def _deviation(mel: np.ndarray) -> float:
    mel = mel.astype(np.float64)
    return float(np.square(mel - mel.mean(1, keepdims=True)).sum())
