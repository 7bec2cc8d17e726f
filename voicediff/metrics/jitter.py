"""Fast F0 fluctuation in sustained notes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal

from voicediff.metrics.base import Metric, Pair, share
from voicediff.registry import register


@register("metric", "f0_jitter")
class F0Jitter(Metric):
    """Fast fluctuation of F0 in cents inside sustained notes; compare with the recording's value.

    Over notes of at least `shortest` seconds, without their first `attack` and last `release`
    seconds: root mean square of the residual of F0 (in cents) after a cubic fit over `window`
    seconds around each frame (Savitzky & Golay 1964). A cubic over 0.1 s follows vibrato and drift,
    but not the jitter that a vocoder adds. Only fully voiced stretches count. A leap of more than
    `leap` cents between frames ends a stretch, so octave errors of the F0 tracker do not count.
    """

    needs = ("f0", "score")

    def __init__(
        self,
        shortest: float = 0.5,
        attack: float = 0.15,
        release: float = 0.1,
        window: float = 0.1,
        leap: float = 100.0,
    ):
        self.shortest, self.attack, self.release = shortest, attack, release
        self.window, self.leap = window, leap

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
            for cents in self._stretches(f0[first:last]):
                if len(cents) < size:
                    continue
                left = cents - scipy.signal.savgol_filter(cents, size, 3)
                total, count = total + float(np.square(left).sum()), count + len(left)
        return total, count

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"f0_jitter": float(np.sqrt(share(measured)))}

    def _stretches(self, f0: np.ndarray) -> list[np.ndarray]:
        """F0 in cents of the fully voiced stretches without leaps."""
        cents = 1200 * np.log2(np.where(f0 > 0, f0, np.nan))
        broken = ~(np.abs(np.diff(cents)) <= self.leap)  # also where one of both is unvoiced
        parts = np.split(cents, np.flatnonzero(broken) + 1)
        return [part for part in parts if not np.isnan(part).any()]
