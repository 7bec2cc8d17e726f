"""Metrics of singing voice synthesis and vocoders, and of speech separation.

Singing: distances to the recording, variance and modulation, pitch, timing. Separation: distortion
ratios, intelligibility, quality. A metric's module is imported when the metric is built.
"""

from voicediff.metrics.base import Item, Metric, Pair
from voicediff.metrics.scoring import score_row, score_utterances, singing_metrics
from voicediff.metrics.separation import (
    SeparatedTrack,
    SeparationMetric,
    improved,
    mean_by_group,
    score_track,
    separation_metrics,
)

__all__ = [
    "Item",
    "Metric",
    "Pair",
    "SeparatedTrack",
    "SeparationMetric",
    "improved",
    "mean_by_group",
    "score_row",
    "score_track",
    "score_utterances",
    "separation_metrics",
    "singing_metrics",
]
