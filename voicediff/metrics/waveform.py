"""Waveform metrics, mainly for vocoders: multi-resolution spectra and periodicity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register

DYNAMICS = 1e-4  # of the recording's largest magnitude (80 dB): softer sounds are inaudible


@register("metric", "multi_stft")
class MultiStft(Metric):
    """Distance of linear spectra at several resolutions, and the log-spectral distance in dB.

    `multi_stft` is the mean over windows of 512, 1024 and 2048 samples (Hann, hop a quarter) of
    spectral convergence |X - Y|_F / |Y|_F, computed line by line, plus the mean of |ln X - ln Y|
    (Yamamoto et al. 2020); `log_spectral_distance` the mean over frames of the root mean square over
    bins of 20 log10 X / Y at the middle window (Gray & Markel 1976). Magnitudes are clamped 80 dB
    below the recording's largest. All frequencies count, also above those of the mel; phases do not
    count. Two realisations of the same noise are about 6 to 7 dB apart.
    """

    needs = ("wav",)

    def __init__(self, sizes: tuple[int, ...] = (512, 1024, 2048)):
        self.sizes = sizes

    def measure(self, pair: Pair) -> tuple[float, float, float, int]:
        """Distance times samples, samples, summed log-spectral distance, frames."""
        waves = pair.reference.wav, pair.generated.wav
        total, middle = 0.0, np.zeros(0)
        for size in self.sizes:
            natural, made = (_magnitudes(wav, size) for wav in waves)
            least = max(DYNAMICS * natural.max(), 1e-9)
            gap = np.linalg.norm(natural - made) / max(np.linalg.norm(natural), 1e-9)
            ratio = np.log(np.maximum(made, least) / np.maximum(natural, least))
            total += float(gap + np.abs(ratio).mean()) / len(self.sizes)
            if size == self.sizes[len(self.sizes) // 2]:
                middle = 20 / np.log(10) * np.sqrt(np.square(ratio).mean(1))
        samples = len(waves[0])
        return total * samples, samples, float(middle.sum()), len(middle)

    def pool(self, measured: Sequence[tuple[float, float, float, int]]) -> dict[str, float]:
        return {
            "multi_stft": share([m[:2] for m in measured]),
            "log_spectral_distance": share([m[2:] for m in measured]),
        }


@register("metric", "periodicity_error")
class PeriodicityError(Metric):
    """Root mean square difference of periodicity over all frames, 0 to 1 (Morrison et al. 2022).

    Periodicity comes from the F0 tracker, in voiced and unvoiced frames. The metric shows roughness,
    buzz in breath and breath in vowels even where F0 and the spectrum agree.
    """

    needs = ("periodicity",)

    def measure(self, pair: Pair) -> tuple[float, int]:
        gap = pair.reference.periodicity.astype(np.float64) - pair.generated.periodicity
        return float(np.square(gap).sum()), len(gap)

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"periodicity_error": float(np.sqrt(share(measured)))}


def _magnitudes(wav: np.ndarray, size: int) -> np.ndarray:
    """Magnitudes (frames, size // 2 + 1) of wav (N,), zero-padded at both ends."""
    padded = np.pad(wav.astype(np.float32), size // 2)
    padded = np.pad(padded, (0, max(size - len(padded), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    return np.abs(scipy.fft.rfft(frames * window, axis=1))
