"""Metrics: of singing, distance to the recording, liveliness and pitch; of separation, distortion.

A metric is imported when it is built.
"""

from voicediff.metrics.base import Item, Metric, Pair
from voicediff.metrics.row import score_row, score_utterances, singing_metrics
from voicediff.metrics.voices import (
    Voice,
    VoiceMetric,
    improved,
    mean_by_group,
    score_voice,
    separation_metrics,
)

__all__ = [
    "Item",
    "Metric",
    "Pair",
    "Voice",
    "VoiceMetric",
    "improved",
    "mean_by_group",
    "score_row",
    "score_utterances",
    "score_voice",
    "separation_metrics",
    "singing_metrics",
]
