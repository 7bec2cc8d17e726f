"""Robustness: whether disturbed videos degrade separation, by condition and in total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from voicediff.data.separation.disturbed import ALIGNED, Condition

LEAST_MEAN = -0.5  # dB SI-SDRi
LEAST_TRACK, LEAST_SHARE = -1.0, 0.95  # dB SI-SDRi, and the share of tracks that must reach it
LEAST_KEPT = 0.8  # of the aligned SI-SDRi, with the video shifted by one frame

Tracks = Sequence[Mapping[str, float]]  # si_sdri, selected, confidence of each, if known


def judged(found: Mapping[Condition, Tracks]) -> dict[str, Any]:
    """Rows of all conditions, whether all passed, and rank correlation of the confidence.

    Returning the unprocessed mixture does not pass: its aligned SI-SDRi is 0, of which no share
    can remain after a shift.
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
    """One row; `aligned` is the mean SI-SDRi in dB with the original video."""
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
    """Spearman's correlation of confidence and SI-SDRi over tracks; None if undefined."""
    pairs = [(t["confidence"], t["si_sdri"]) for t in tracks if {"confidence", "si_sdri"} <= {*t}]
    if len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return None
    return float(scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic)


def _mean(tracks: Tracks, name: str) -> float | None:
    values = [track[name] for track in tracks if name in track]
    return float(np.mean(values)) if values else None


def _share(found: Sequence[bool]) -> float:
    """Share of True; 0 for an empty list."""
    return float(np.mean(found)) if found else 0.0
