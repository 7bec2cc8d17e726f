"""Conversion between ticks and seconds under tempo changes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from voicediff.errors import DataError

DEFAULT_BPM = 120.0


@dataclass(frozen=True)
class TempoMap:
    """Tempo changes of a song whose times are in ticks.

    Attributes:
        resolution: ticks per beat (quarter note).
        ticks, bpm, seconds: of each change, the first at tick 0.
    """

    resolution: float
    ticks: tuple[float, ...]
    bpm: tuple[float, ...]
    seconds: tuple[float, ...]

    @classmethod
    def of(
        cls, changes: Iterable[tuple[float, float]], resolution: float, at: str = "tempo"
    ) -> TempoMap:
        """From (tick, beats per minute) pairs in any order; the last of several at one tick is used.

        Raises DataError with the prefix `at` for a tempo or resolution that is not above 0.
        """
        if not (math.isfinite(resolution) and resolution > 0):
            raise DataError(f"{at}: {resolution} ticks per beat; it must be above 0")
        found = {0.0: DEFAULT_BPM}
        for tick, bpm in sorted(changes, key=lambda change: change[0]):
            if not (math.isfinite(tick) and math.isfinite(bpm) and 0 < bpm <= 10000):
                raise DataError(f"{at}: tempo {bpm} at tick {tick}; give beats per minute above 0")
            found[max(float(tick), 0.0)] = float(bpm)
        ticks, bpms, seconds = list(found), list(found.values()), [0.0]
        for i in range(1, len(ticks)):
            length = (ticks[i] - ticks[i - 1]) / resolution * 60 / bpms[i - 1]
            seconds.append(seconds[-1] + length)
        return cls(float(resolution), tuple(ticks), tuple(bpms), tuple(seconds))

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """(seconds, beats per minute) of each change, as in `Score.tempo`."""
        return tuple(zip(self.seconds, self.bpm, strict=True))

    def to_seconds(self, tick: float) -> float:
        i = max(bisect_right(self.ticks, tick) - 1, 0)
        return self.seconds[i] + (tick - self.ticks[i]) / self.resolution * 60 / self.bpm[i]

    def to_ticks(self, seconds: float) -> float:
        i = max(bisect_right(self.seconds, seconds) - 1, 0)
        return self.ticks[i] + (seconds - self.seconds[i]) * self.bpm[i] / 60 * self.resolution
