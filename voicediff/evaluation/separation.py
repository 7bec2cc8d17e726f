"""Measurement of speech separation on the mixtures of a development list."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from voicediff.data.separation.dataset import ListedMixtures
from voicediff.data.separation.mixtures import MixtureList
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.evaluation.base import Measurement, Metrics
from voicediff.inference.separation import batches_of, separate_batch
from voicediff.metrics import (
    SeparatedTrack,
    improved,
    mean_by_group,
    score_track,
    separation_metrics,
)
from voicediff.report.nfe import Judged
from voicediff.report.separation_metrics import QUALITY
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.constants import HOP, SAMPLE_RATE

METRICS = ("si_sdr", "estoi", "pesq", "selection")
COLUMNS = ("si_sdri", "estoi", "pesq_wb", "pesq_nb", "selected")
_COLUMNS = {column.key: column for column in QUALITY}


class SeparationMeasurement(Measurement):
    """Separates the mixtures of a list; the metrics are means over all speakers.

    Args:
        mixtures: the mixtures of the list `made`.
        batch: number of mixtures per batch.
    """

    columns: ClassVar = [_COLUMNS[name] for name in COLUMNS]
    judged: ClassVar = Judged(_COLUMNS["si_sdri"])
    notes: ClassVar = (
        "predictor is its estimate without sampling (NFE 0), mixture the unprocessed mixture. SI-SDR "
        "favours the conditional mean over a sample: compare ESTOI and PESQ as well, and listen."
    )

    def __init__(
        self,
        task: SpeechSeparation,
        mixtures: ListedMixtures,
        made: MixtureList,
        weights: str,
        seed: int,
        noise_scale: float | None = None,
        batch: int = 8,
    ):
        if task.diffusion is None:
            raise ConfigError("report: the model has no generator, so there is nothing to sample")
        self.task, self.mixtures, self.made = task, mixtures, made
        self.weights, self.seed, self.batch = weights, seed, batch
        self.noise_scale = task.noise_scale if noise_scale is None else noise_scale
        self.metrics, self.missing = separation_metrics(METRICS)
        self.unprocessed = [
            score_track(SeparatedTrack(*track, SAMPLE_RATE), self.metrics)
            for batch in batches_of(task, mixtures, self.batch)
            for track in _tracks(batch, batch["mixture"][:, None].expand_as(batch["sources"]))
        ]

    def facts(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "mixtures": len(self.mixtures),
            "list": f"{self.made.name} ({self.made.hash})",
            "seed": self.seed,
            "noise scale": self.noise_scale,
            "mixtures at once": self.batch,
            "device": next(self.task.parameters()).device.type,
        } | {f"not measured: {name}": why for name, why in self.missing.items()}

    def references(self) -> Sequence[str]:
        return ["mixture"] if self.task.predictor is None else ["mixture", "predictor"]

    def measure_reference(self, name: str) -> tuple[Metrics, float | None]:
        if name == "mixture":
            return self._means(self.unprocessed), None
        return self._separated(None)

    def measure(self, sampler: Sampler) -> tuple[Metrics, float]:
        return self._separated(sampler)

    def _separated(self, sampler: Sampler | None) -> tuple[Metrics, float]:
        scores, seconds, samples = [], 0.0, 0
        for batch in batches_of(self.task, self.mixtures, self.batch):
            start = time.perf_counter()
            found = separate_batch(self.task, batch, sampler, self.seed, self.noise_scale)
            tracks = found.tracks.float().cpu()
            seconds += time.perf_counter() - start
            samples += int(batch["frames"].sum()) * HOP
            if not tracks.isfinite().all():
                raise ConfigError("the separated tracks are not finite")
            scores += [
                score_track(SeparatedTrack(*track, SAMPLE_RATE), self.metrics)
                for track in _tracks(batch, tracks)
            ]
        return self._means(scores), seconds * SAMPLE_RATE / samples

    def _means(self, scores: Sequence[dict[str, float]]) -> Metrics:
        pairs = zip(scores, self.unprocessed, strict=True)
        rows = [improved(found, before, self.metrics) for found, before in pairs]
        return self.numbers(mean_by_group(rows, [""] * len(rows))[""])


def _tracks(
    batch: dict[str, Any], tracks: torch.Tensor
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(reference (N,), estimate (N,), other references (S - 1, N)) of each speaker of a batch."""
    for i, frames in enumerate(batch["frames"].tolist()):
        truth, found = (x[i, :, : frames * HOP].numpy() for x in (batch["sources"], tracks))
        for speaker in range(len(truth)):
            yield truth[speaker], found[speaker], np.delete(truth, speaker, 0)
