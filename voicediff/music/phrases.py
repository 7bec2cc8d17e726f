"""Assignment of notes to lines of the lyrics, from rests and long notes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from voicediff.music.melody import RawNote

MISCOUNT = 1.5  # cost of each surplus or missing note in a line
REACH = 30  # notes; maximum distance of a cut from its place by the number of syllables
REST = 3.0  # score of a rest as long as the typical note (clipped at 2)


def split_by_lines(
    notes: Sequence[RawNote], counts: Sequence[int], beat: float = 0.5
) -> list[tuple[int, int]]:
    """Ranges of notes for lines of `counts` syllables, by dynamic programming over the cuts.

    A cut scores well before a note that follows a rest or a long note, and where a line begins at
    the same position in the bar as the first one. Lines with another number of notes than
    syllables cost MISCOUNT per note. `beat` is the length of a beat in seconds from the tempo.
    Beats derived from the typical note are tried too, for songs whose tempo is not annotated.
    """
    typical = _typical_step(notes)
    beats = (beat, typical / 2, typical, 2 * typical)
    tried = [_cheapest_cuts(_boundary_score(notes, b, typical), counts) for b in beats]
    cuts = min(tried, key=lambda pair: pair[0])[1]
    return list(itertools.pairwise(cuts))


def _cheapest_cuts(score: np.ndarray, counts: Sequence[int]) -> tuple[float, list[int]]:
    """Cost and cuts (lines + 1) by dynamic programming over (line, last note)."""
    n, lines = len(score) - 1, len(counts)
    best = np.full((lines + 1, n + 1), np.inf)
    origin = np.zeros((lines + 1, n + 1), dtype=int)
    best[0, 0] = 0.0
    total = max(sum(counts), 1)
    reach = min(abs(n - total), REACH) + REACH
    low = done = 0
    for line, count in enumerate(counts, start=1):
        last = line == lines
        previous, done = low, done + count
        middle = round(done * n / total)
        low = n if last else max(middle - reach, previous)
        for end in range(low, min(middle + reach, n) + 1):
            before = np.arange(previous, end + 1)
            costs = best[line - 1, before] + MISCOUNT * np.abs(end - before - count)
            origin[line, end] = before[np.argmin(costs)]
            best[line, end] = costs.min() - (0.0 if last else score[end])
    cuts = [n]
    for line in range(lines, 0, -1):
        cuts.append(int(origin[line, cuts[-1]]))
    return float(best[lines, n]), cuts[::-1]


def _typical_step(notes: Sequence[RawNote]) -> float:
    """Median time between note onsets in seconds."""
    steps = np.diff([note.start for note in notes])
    return max(float(np.median(steps)), 1e-3) if len(steps) else 0.5


def _boundary_score(notes: Sequence[RawNote], beat: float, typical: float) -> np.ndarray:
    """How likely a line begins before each note, (n + 1,); higher is more likely."""
    starts = np.array([note.start for note in notes])
    ends = np.array([note.end for note in notes])
    steps = np.diff(starts)
    score = np.zeros(len(notes) + 1)
    longer = np.clip(np.log2(np.maximum(steps, 1e-3) / typical), 0, 2)
    rests = np.clip(REST * (starts[1:] - ends[:-1]) / typical, 0, 2)
    bars = (starts[1:] - starts[0]) / (4 * beat)
    on_bar = np.abs(bars - np.rint(bars)) < 0.06
    score[1:-1] = longer + rests + 0.7 * on_bar
    return score
