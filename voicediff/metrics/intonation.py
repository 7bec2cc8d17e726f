"""F0 against the notes. Both of these reward flat singing; the recording's own figure is the measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, median, share
from voicediff.registry import register


def _deviations(pair: Pair) -> Iterator[np.ndarray]:
    """For each note, cents of the generated voiced frames inside it from its pitch."""
    f0, times = pair.generated.f0.astype(np.float64), pair.times
    for note in pair.score.notes:
        first, last = np.searchsorted(times, (note.start, note.end))
        sung = f0[first:last]
        sung = sung[sung > 0]
        yield 1200 * np.log2(sung / 440.0) - 100 * (note.pitch - 69)


@register("metric", "within_50_cents")
class WithinCents(Metric):
    """Share of voiced frames inside notes that are within `cents` of the note. Rewards flat singing.

    A voice slides into notes and sways around them: recordings reach some 95 %, and a blurred
    mean, which does neither, more than they do. Higher than the recording is not better.
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
    """Median over notes of how far, in cents, a note's median F0 is from the written pitch.

    A note's median ignores its slide and its vibrato, so this one asks whether notes are in tune,
    not how they are sung. A machine can be better in tune than the recording without being better.
    """

    needs = ("f0", "score")

    def measure(self, pair: Pair) -> np.ndarray:
        return np.array([abs(np.median(note)) for note in _deviations(pair) if len(note)])

    def pool(self, measured: Sequence[np.ndarray]) -> dict[str, float]:
        return {"note_error": median(measured)}
