"""F0 compared with the notes of the score.

Both metrics favour a flat F0: compare a system with the value of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, median, share
from voicediff.registry import register


def _deviations(pair: Pair) -> Iterator[np.ndarray]:
    """For each note, the deviation in cents of the generated F0 from the written pitch."""
    f0, times = pair.generated.f0.astype(np.float64), pair.times
    for note in pair.score.notes:
        first, last = np.searchsorted(times, (note.start, note.end))
        sung = f0[first:last]
        sung = sung[sung > 0]
        yield 1200 * np.log2(sung / 440.0) - 100 * (note.pitch - 69)


@register("metric", "within_50_cents")
class WithinCents(Metric):
    """Share of voiced frames inside notes within `cents` of the written pitch; favours a flat F0.

    Singers use portamento and vibrato, so recordings reach about 95 %. An over-smoothed F0 reaches
    more. A value above that of the recording is not better.
    """

    needs = ("f0", "score")

    def __init__(self, cents: float = 50.0):
        self.cents = cents

    def measure(self, pair: Pair) -> tuple[int, int]:
        deviations = np.concatenate([np.zeros(0), *_deviations(pair)])
        return int((np.abs(deviations) <= self.cents).sum()), len(deviations)

    def pool(self, measured: Sequence[tuple[int, int]]) -> dict[str, float]:
        return {f"within_{self.cents:g}_cents": share(measured)}


@register("metric", "note_error")
class NoteError(Metric):
    """Median over notes of the distance in cents between a note's median F0 and the written pitch.

    The median over a note removes portamento and vibrato, so only intonation counts. A value below
    that of the recording is not better.
    """

    needs = ("f0", "score")

    def measure(self, pair: Pair) -> np.ndarray:
        return np.array([abs(np.median(note)) for note in _deviations(pair) if len(note)])

    def pool(self, measured: Sequence[np.ndarray]) -> dict[str, float]:
        return {"note_error": median(measured)}
