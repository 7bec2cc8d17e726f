"""Energy ratios of a separated track in dB (SI-SDR, SNR, SDR of BSS-eval) and speaker selection."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.linalg

from voicediff.metrics.separation import SeparatedTrack, SeparationMetric
from voicediff.registry import register

CEILING = 150.0  # dB; close to the precision of float64


@register("separation_metric", "si_sdr")
class ScaleInvariantSDR(SeparationMetric):
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019): `si_sdr`.

    10 log10 |a s|^2 / |a s - e|^2 with a = <e, s> / |s|^2, without removal of the mean. It does
    not depend on the level. It is sensitive to phase: a delay of 1 ms lowers it by many dB.
    """

    improves = ("si_sdr",)

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        return {"si_sdr": si_sdr(track.target, track.estimate)}


@register("separation_metric", "snr")
class SignalToNoise(SeparationMetric):
    """Signal-to-noise ratio in dB, 10 log10 |s|^2 / |s - e|^2: `snr`. It depends on the level."""

    improves = ("snr",)

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        return {"snr": snr(track.target, track.estimate)}


@register("separation_metric", "sdr")
class FilteredSDR(SeparationMetric):
    """Signal-to-distortion ratio of BSS-eval in dB (Vincent et al. 2006): `sdr`.

    As SI-SDR, but the target may be filtered by any FIR filter of `taps` taps, so linear filtering
    and short delays cost nothing. Never below SI-SDR.
    """

    improves = ("sdr",)

    def __init__(self, taps: int = 512):
        self.taps = taps

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        return {"sdr": sdr(track.target, track.estimate, self.taps)}


@register("separation_metric", "selection")
class Selection(SeparationMetric):
    """Whether the track is closest to its own speaker by SI-SDR: `selected`, 1 or 0.

    The mean is the selection accuracy. Returning the unprocessed mixture of two gives about 0.5.
    """

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        own = si_sdr(track.target, track.estimate)
        rivals = [si_sdr(other, track.estimate) for other in track.others]
        if not np.isfinite([own, *rivals]).all() or not rivals:
            return {"selected": float("nan")}
        return {"selected": float(own > max(rivals))}


def si_sdr(target: np.ndarray, estimate: np.ndarray) -> float:
    """SI-SDR of (N,) against (N,) in dB; nan for a silent target."""
    target, estimate = _pair(target, estimate)
    energy = target @ target
    if energy == 0:
        return float("nan")
    scaled = (estimate @ target / energy) * target
    return _ratio(scaled @ scaled, np.square(estimate - scaled).sum())


def snr(target: np.ndarray, estimate: np.ndarray) -> float:
    """Signal-to-noise ratio of (N,) against (N,) in dB; nan for a silent target."""
    target, estimate = _pair(target, estimate)
    energy = target @ target
    return _ratio(energy, np.square(estimate - target).sum()) if energy else float("nan")


def sdr(target: np.ndarray, estimate: np.ndarray, taps: int = 512) -> float:
    """SDR of BSS-eval of (N,) against (N,) in dB; nan for a silent target.

    The projection of the estimate onto the target's delays 0 .. taps - 1 has energy d R^-1 d, where R
    is the Toeplitz matrix of the target's autocorrelation and d its correlation with the estimate.
    """
    target, estimate = _pair(target, estimate)
    if not target.any():
        return float("nan")
    size = scipy.fft.next_fast_len(len(target) + taps, real=True)
    spectrum, other = (scipy.fft.rfft(x, size) for x in (target, estimate))
    own = scipy.fft.irfft(np.abs(spectrum) ** 2, size)[:taps]
    cross = scipy.fft.irfft(spectrum.conj() * other, size)[:taps]
    own[0] *= 1 + 1e-12  # band-limited signals make R nearly singular
    matrix = scipy.linalg.toeplitz(own)
    explained = cross @ scipy.linalg.solve(matrix, cross, assume_a="pos")
    return _ratio(explained, estimate @ estimate - explained)


def _pair(target: np.ndarray, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(target, np.float64), np.asarray(estimate, np.float64)


def _ratio(signal: float, distortion: float) -> float:
    """10 log10 of the ratio within +-CEILING; a silent estimate is all distortion."""
    least = 10 ** (-CEILING / 10)
    if signal <= 0:
        return -CEILING
    return float(np.clip(-10 * np.log10(max(distortion / signal, least)), -CEILING, CEILING))
