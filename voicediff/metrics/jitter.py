"""Whether long notes stand still: the trembling of F0 that no voice and no score has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register


@register("metric", "f0_jitter")
class F0Jitter(Metric):
    """Trembling of F0 in cents inside sustained notes; the recording's own is the measure.

    Notes of at least `shortest` seconds, without their first `attack` and last `release` seconds:
    root mean square of what is left of F0 (in cents) when a cubic over `window` seconds around each
    frame is taken off (Savitzky & Golay 1964). Vibrato and drift follow a cubic over a tenth of a
    second; what a vocoder adds does not. Only stretches voiced throughout count.
    """

    needs = ("f0", "score")

    def __init__(
        self,
        shortest: float = 0.5,
        attack: float = 0.15,
        release: float = 0.1,
        window: float = 0.1,
    ):
        self.shortest, self.attack, self.release, self.window = shortest, attack, release, window

    def measure(self, pair: Pair) -> tuple[float, int]:
        size = max(2 * round(self.window * pair.spec.frame_rate / 2) + 1, 5)
        f0, times = pair.generated.f0.astype(np.float64), pair.times
        total, count = 0.0, 0
        for note in pair.score.notes:
            if note.end - note.start < self.shortest:
                continue
            first, last = np.searchsorted(
                times, (note.start + self.attack, note.end - self.release)
            )
            for sung in _voiced(f0[first:last]):
                if len(sung) < size:
                    continue
                cents = 1200 * np.log2(sung)
                left = cents - scipy.signal.savgol_filter(cents, size, 3)
                total, count = total + float(np.square(left).sum()), count + len(left)
        return total, count

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"f0_jitter": float(np.sqrt(share(measured)))}


def _voiced(f0: np.ndarray) -> list[np.ndarray]:
    """The stretches that are voiced throughout."""
    borders = np.flatnonzero(np.diff((f0 > 0).astype(int))) + 1
    return [part for part in np.split(f0, borders) if len(part) and part[0] > 0]
