"""Mel-cepstral distortion, frame-synchronous and with dynamic time warping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from scipy.spatial.distance import cdist

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register

SCALE = 10 / np.log(10) * np.sqrt(2)


def mel_cepstra(mel: np.ndarray, order: int) -> np.ndarray:
    """Mel-cepstra c_1 .. c_order (T, order) of log-mel (F, T).

    c_k = (2 / F) sum_i mel_i cos(pi k (i + 1/2) / F), so that mel_i = c_0 / 2 + sum_k c_k cos(...):
    the usual scale, in which log |H| is a sum of c_k cos(k w).
    """
    cepstra = scipy.fft.dct(mel.astype(np.float64), axis=0) / mel.shape[0]
    return cepstra[1 : order + 1].T


@register("metric", "mcd")
class MelCepstralDistortion(Metric):
    """Mel-cepstral distortion in dB (Kubichek 1993), frame by frame; favours over-smoothed outputs.

    Mean over all frames of (10 / ln 10) sqrt(2 sum_k (c_k - c'_k)^2), k = 1 .. order, where c are
    the `mel_cepstra` of the natural-log mel of the waveform, after the vocoder. c_0, the level, is
    left out. This is the root mean square distance in dB, over the bins, of the spectra smoothed by
    `order` cosines.

    The scale is not that of ESPnet or most publications: they compute SPTK mel-cepstra of the
    linear spectrum and align them by dynamic time warping. Compare values within this toolkit only.
    An over-smoothed rendition is closer to the recording than a second real rendition is: read
    `mcd` together with `variance_ratio`, `modulation_ratio` and `frechet`.
    """

    needs = ("wav_mel",)

    def __init__(self, order: int = 13):
        self.order = order

    def measure(self, pair: Pair) -> tuple[float, int]:
        a, b = (mel_cepstra(x.wav_mel, self.order) for x in (pair.reference, pair.generated))
        return SCALE * float(np.linalg.norm(a - b, axis=1).sum()), len(a)

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"mcd": share(measured)}


@register("metric", "mcd_dtw")
class WarpedMelCepstralDistortion(MelCepstralDistortion):
    """Mel-cepstral distortion in dB along the dynamic-time-warping path of least total distance.

    As `mcd`, but the mean is over the steps of the path, each of which advances one or both
    sequences by one frame. Timing errors, and smearing in time, cost less than in `mcd`. The score
    fixes the timing of singing, so `mcd` is the stricter of the two.
    """

    def measure(self, pair: Pair) -> tuple[float, int]:
        a, b = (mel_cepstra(x.wav_mel, self.order) for x in (pair.reference, pair.generated))
        cost = cdist(a, b)
        path = warping_path(cost)
        return SCALE * float(cost[path].sum()), len(path[0])

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"mcd_dtw": share(measured)}


def warping_path(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column indices of the cheapest monotonous path through cost (N, M).

    Total costs are computed one anti-diagonal at a time.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(total[i, j], total[i, j + 1]), total[i + 1, j])
        total[i + 1, j + 1] = cost[i, j] + before
    i, j = rows, columns
    path = []
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: total[step])
    return tuple(np.array(path[::-1]).T)
