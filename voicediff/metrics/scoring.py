"""Scores of one system over many lines: the figures of a row of the score table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voicediff.audio import MelSpec
from voicediff.metrics.base import Item, Metric, Pair
from voicediff.registry import build

SINGING = (
    "mcd",
    "mcd_dtw",
    "log_mel_error",
    "variance_ratio",
    "modulation_ratio",
    "frechet",
    "harmonic_contrast",
    "multi_stft",
    "periodicity_error",
    "sung_f0_distance",
    "gross_pitch_error",
    "raw_pitch_accuracy",
    "log_f0_rmse",
    "f0_correlation",
    "vuv_error",
    "f0_jitter",
    "within_50_cents",
    "note_error",
    "semitone_accuracy",
    "onset_error",
)


def singing_metrics(names: Sequence[str] = SINGING) -> list[Metric]:
    """The named metrics with their defaults."""
    return [build("metric", {"name": name}) for name in names]


def score_row(
    references: Iterable[Item],
    generated: Iterable[Item],
    spec: MelSpec,
    metrics: Sequence[Metric] | None = None,
) -> dict[str, float]:
    """Figures over all lines by name, pooled as each metric defines it.

    References and renditions must be in the same order. Metrics whose features are unknown (e.g. a
    mel without a waveform) are left out, so the function serves the score table and validation.
    """
    return score_utterances(references, generated, spec, metrics)[0]


def score_utterances(
    references: Iterable[Item],
    generated: Iterable[Item],
    spec: MelSpec,
    metrics: Sequence[Metric] | None = None,
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Figures over all lines, and those of each line for metrics that are defined for one line.

    Items are consumed one pair at a time, so generators keep memory use low.
    """
    metrics = singing_metrics() if metrics is None else metrics
    found: list[list] = [[] for _ in metrics]
    lines = []
    for reference, rendition in zip(references, generated, strict=True):
        pair = Pair.of(reference, rendition, spec)
        line: dict[str, float] = {}
        for metric, measured in zip(metrics, found, strict=True):
            if pair.has(metric.needs):
                measured.append(metric.measure(pair))
                line |= metric.pool(measured[-1:]) if metric.by_line else {}
        lines.append(line)
    overall: dict[str, float] = {}
    for metric, measured in zip(metrics, found, strict=True):
        overall |= metric.pool(measured) if measured else {}
    return overall, lines
