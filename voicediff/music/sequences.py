"""Alignment of two sequences that should be equal: insertions, deletions and exchanges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voicediff.text import hangul, phones
from voicediff.text.lyrics import Sung
from voicediff.text.phones import Syllable

GAP = 0.7  # cost of an item that one side lacks; two gaps cost more than one mismatched pair
SWAP = 0.3  # cost of two exchanged neighbours


@dataclass(frozen=True)
class Step:
    """One step of an alignment: `i` in the left sequence, `j` in the right one.

    `swap` pairs i and i + 1 with j + 1 and j; `left` and `right` name the only side that has the
    item.
    """

    kind: Literal["pair", "left", "right", "swap"]
    i: int
    j: int


def align_sequences(cost: np.ndarray, cross: np.ndarray | None = None) -> list[Step]:
    """The alignment of least cost (weighted Damerau-Levenshtein distance).

    Args:
        cost: (n, m) dissimilarity of left item i and right item j, 0 to 1.
        cross: the same for exchanged neighbours, by default `cost`.
    """
    cross = cost if cross is None else cross
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[:, 0] = GAP * np.arange(n + 1)
    total[0, :] = GAP * np.arange(m + 1)
    swapped = np.full((n + 1, m + 1), np.inf)
    swapped[2:, 2:] = SWAP + cross[:-1, 1:] + cross[1:, :-1]
    for i in range(1, n + 1):
        row, above = total[i], total[i - 1]
        best = np.minimum(above[1:] + GAP, above[:-1] + cost[i - 1])
        if i > 1:
            best[1:] = np.minimum(best[1:], total[i - 2][:-2] + swapped[i, 2:])
        for j in range(1, m + 1):
            row[j] = min(best[j - 1], row[j - 1] + GAP)
    return _trace(total, cost, swapped)


def dissimilarity(a: Syllable, b: Syllable) -> float:
    """Phonetic dissimilarity of two syllables, 0 to 1."""
    return 0.4 * (a.onset != b.onset) + 0.4 * (a.nucleus != b.nucleus) + 0.2 * (a.coda != b.coda)


def syllable_cost(left: list[Syllable], right: list[Syllable]) -> np.ndarray:
    """Unlikeness (n, m) of two sequences of syllables."""
    return np.array([[dissimilarity(a, b) for b in right] for a in left])


def written_cost(reference: list[Syllable], written: list[Sung]) -> np.ndarray:
    """Dissimilarity (n, m) of phones and Hangul: the minimum with and without liaison."""
    plain = [phones.from_spoken(item.text)[:1] for item in written]
    text = "".join(item.text for item in written if not item.slur)
    running = iter(phones.from_spoken(_liaison(text)))
    joined = [None if item.slur else next(running) for item in written]
    cost = np.zeros((len(reference), len(written)))
    for j, (alone, after) in enumerate(zip(plain, joined, strict=True)):
        for i, syllable in enumerate(reference):
            if not alone or after is None:  # a slur mark matches any vowel without onset
                cost[i, j] = 0.0 if not syllable.onset else 0.6
            else:
                cost[i, j] = min(dissimilarity(syllable, alone[0]), dissimilarity(syllable, after))
    return cost


def _liaison(text: str) -> str:
    """Move codas to a following vowel, the most frequent of the sound changes."""
    parts = [list(hangul.decompose(character)) for character in text]
    for before, after in itertools.pairwise(parts):
        if after[0] == "ㅇ" and before[2] and before[2] in hangul.LEADS and before[2] != "ㅇ":
            after[0], before[2] = before[2], ""
    return "".join(hangul.compose(*part) for part in parts)


def _trace(total: np.ndarray, cost: np.ndarray, swapped: np.ndarray) -> list[Step]:
    i, j = cost.shape
    steps = []
    while i or j:
        here = total[i, j] + 1e-9
        if i and j and total[i - 1, j - 1] + cost[i - 1, j - 1] <= here:
            i, j = i - 1, j - 1
            steps.append(Step("pair", i, j))
        elif i > 1 and j > 1 and total[i - 2, j - 2] + swapped[i, j] <= here:
            i, j = i - 2, j - 2
            steps.append(Step("swap", i, j))
        elif i and total[i - 1, j] + GAP <= here:
            i -= 1
            steps.append(Step("left", i, j))
        else:
            j -= 1
            steps.append(Step("right", i, j))
    return steps[::-1]
