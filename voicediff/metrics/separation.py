"""What a metric of separation is, and figures over many voices, by kind of pair."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from voicediff.registry import build

SEPARATION = ("si_sdr", "sdr", "snr", "estoi", "pesq", "selection")


@dataclass(frozen=True)
class SeparatedTrack:
    """One separated voice beside the truth; all sounds (N,) at the same rate.

    Attributes:
        others: the other voices of the mixture, (S - 1, N).
    """

    target: np.ndarray
    estimate: np.ndarray
    others: np.ndarray
    sample_rate: int = 16000


class SeparationMetric(ABC):
    """A ruler of separated voices."""

    #: figures of which the improvement over the mixture is told as well, as NAME + "i"
    improves: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def measure(self, voice: SeparatedTrack) -> dict[str, float]:
        """Figures by name; nan where there is nothing to measure."""

    def missing(self) -> str:
        """Why the metric cannot be measured here, "" where it can."""
        return ""


def separation_metrics(
    names: Sequence[str] = SEPARATION,
) -> tuple[list[SeparationMetric], dict[str, str]]:
    """The named metrics with their defaults, and why some are left out, by name."""
    found = {name: build("separation_metric", {"name": name}) for name in names}
    missing = {name: metric.missing() for name, metric in found.items() if metric.missing()}
    return [metric for name, metric in found.items() if name not in missing], missing


def score_track(voice: SeparatedTrack, metrics: Sequence[SeparationMetric]) -> dict[str, float]:
    """All figures of one voice."""
    return {k: v for metric in metrics for k, v in metric.measure(voice).items()}


def improved(
    found: Mapping[str, float], mixture: Mapping[str, float], metrics: Sequence[SeparationMetric]
) -> dict[str, float]:
    """The figures of a voice and, beside them, what they are above those of the mixture."""
    names = [name for metric in metrics for name in metric.improves]
    return {**found, **{f"{name}i": found[name] - mixture[name] for name in names}}


def mean_by_group(
    scores: Sequence[Mapping[str, float]], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Means over the voices of each group, and of all under ""; nan where nothing was measured."""
    names = ["", *dict.fromkeys(groups)]
    return {
        name: _means([s for s, g in zip(scores, groups, strict=True) if name in ("", g)])
        for name in names
    }


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = dict.fromkeys(key for score in scores for key in score)
    found = {}
    for key in keys:
        values = [s[key] for s in scores if key in s and math.isfinite(s[key])]
        found[key] = float(np.mean(values)) if values else float("nan")
    return found
