"""Interface of the metrics of speech separation, and means over tracks by kind of pair."""

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
    """One separated track with its references; all waveforms at the same rate.

    Attributes:
        target: the speaker's clean signal, (N,).
        estimate: the separated track, (N,).
        others: clean signals of the other speakers of the mixture, (S - 1, N).
        sample_rate: Hz.
    """

    target: np.ndarray
    estimate: np.ndarray
    others: np.ndarray
    sample_rate: int = 16000


class SeparationMetric(ABC):
    """Base class of the metrics of a separated track."""

    #: figures whose improvement over the mixture is also reported, as NAME + "i"
    improves: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        """Figures by name; nan where nothing can be measured."""

    def missing(self) -> str:
        """Why the metric is not available here; "" where it is."""
        return ""


def separation_metrics(
    names: Sequence[str] = SEPARATION,
) -> tuple[list[SeparationMetric], dict[str, str]]:
    """The available ones of the named metrics, with defaults, and why the others are left out."""
    found = {name: build("separation_metric", {"name": name}) for name in names}
    missing = {name: metric.missing() for name, metric in found.items() if metric.missing()}
    return [metric for name, metric in found.items() if name not in missing], missing


def score_track(track: SeparatedTrack, metrics: Sequence[SeparationMetric]) -> dict[str, float]:
    """All figures of one track, by name."""
    return {k: v for metric in metrics for k, v in metric.measure(track).items()}


def improved(
    found: Mapping[str, float], mixture: Mapping[str, float], metrics: Sequence[SeparationMetric]
) -> dict[str, float]:
    """The figures of a track, and as NAME + "i" their improvements over those of the mixture."""
    names = [name for metric in metrics for name in metric.improves]
    return {**found, **{f"{name}i": found[name] - mixture[name] for name in names}}


def mean_by_group(
    scores: Sequence[Mapping[str, float]], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Means over the tracks of each group, and over all tracks under the name ""."""
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
