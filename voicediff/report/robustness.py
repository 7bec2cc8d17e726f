"""Whether a disturbed video does harm: a judgement of each condition, and of all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from voicediff.data.separation.disturbed import ALIGNED, Condition

LEAST_MEAN = -0.5  # dB SI-SDRi
LEAST_TRACK, LEAST_SHARE = -1.0, 0.95  # dB SI-SDRi that so many tracks keep
LEAST_KEPT = 0.8  # of the aligned SI-SDRi, where the video is off by one frame

Tracks = Sequence[Mapping[str, float]]  # of each si_sdri, selected, confidence, where known


def judged(found: Mapping[Condition, Tracks]) -> dict[str, Any]:
    """Rows of all conditions, whether all are passed, and what confidence is worth.

    Handing back the mixture does not pass: it gains nothing that a shift could keep.
    """
    aligned = _mean(found[ALIGNED], "si_sdri")
    rows = [judge(condition, tracks, aligned) for condition, tracks in found.items()]
    confidence = rank_correlation([track for tracks in found.values() for track in tracks])
    return {
        "passed": all(row["passed"] for row in rows),
        "confidence_rank_correlation": confidence,
        "conditions": rows,
    }


def judge(condition: Condition, tracks: Tracks, aligned: float | None) -> dict[str, Any]:
    """One row; `aligned` is the mean SI-SDRi with the video as it is."""
    mean = _mean(tracks, "si_sdri")
    unharmed = _share([t["si_sdri"] >= LEAST_TRACK for t in tracks if "si_sdri" in t])
    kept = mean / aligned if mean is not None and aligned is not None and aligned > 0 else None
    passed = mean is not None and mean >= LEAST_MEAN and unharmed >= LEAST_SHARE
    if abs(condition.shift) == 1:
        passed = passed and kept is not None and kept >= LEAST_KEPT
    return {
        "name": condition.name,
        "title": condition.title,
        "passed": passed,
        "si_sdri": mean,
        "unharmed": unharmed,
        "kept": kept,
        "selected": _mean(tracks, "selected"),
        "confidence": _mean(tracks, "confidence"),
    }


def rank_correlation(tracks: Tracks) -> float | None:
    """Spearman's correlation of confidence and SI-SDRi over tracks; None where there is none."""
    pairs = [(t["confidence"], t["si_sdri"]) for t in tracks if {"confidence", "si_sdri"} <= {*t}]
    if len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return None
    return float(scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic)


def _mean(tracks: Tracks, name: str) -> float | None:
    values = [track[name] for track in tracks if name in track]
    return float(np.mean(values)) if values else None


def _share(found: Sequence[bool]) -> float:
    """Of tracks; nobody's is 0."""
    return float(np.mean(found)) if found else 0.0
