"""Measurement of singing synthesis on development lines."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from voicediff.data.singing.dataset import SingingDataset
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.evaluation.base import Measurement, Metrics
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.registry import build
from voicediff.report.nfe import Judged
from voicediff.report.singing_metrics import SPECTRUM
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.vocoders import Vocoder

METRIC_NAMES = (
    "frechet",
    "harmonic_contrast",
    "variance_ratio",
    "modulation_ratio",
    "mcd",
    "log_mel_error",
)
_COLUMNS = {column.key: column for column in SPECTRUM}


class SingingMeasurement(Measurement):
    """Sings the lines of a folder of features and computes the metrics.

    Args:
        count: number of lines, from the first; None takes all.
        vocoder: name of a vocoder, for metrics of waveforms as well.
        batch_seconds: total duration of the lines of a batch.
    """

    columns: ClassVar = [_COLUMNS[name] for name in METRIC_NAMES]
    judged: ClassVar = Judged(_COLUMNS["frechet"], _COLUMNS["variance_ratio"])
    notes: ClassVar = (
        "mu is the encoder's mean (NFE 0), copy is the recording resynthesised by the vocoder. Distances "
        "to one recording (MCD, log-mel error) favour over-smoothed outputs. The real-time factor is "
        "that of the model without a vocoder."
    )

    def __init__(
        self,
        task: SingingSynthesis,
        data: Path,
        weights: str,
        seed: int,
        noise_scale: float | None = None,
        count: int | None = None,
        vocoder: str | None = None,
        batch_seconds: float = 40.0,
    ):
        self.task, self.weights, self.seed = task, weights, seed
        self.vocoder_name, self.batch_seconds = vocoder, batch_seconds
        self.device = next(task.parameters()).device
        self.noise_scale = task.noise_scale if noise_scale is None else noise_scale
        self.lines: SingingDataset = task.dataset(data, training=False, options={})
        self.indices = list(range(len(self.lines)))[:count]
        self.vocoder: Vocoder | None = None
        if vocoder:
            built = build("vocoder", {"name": vocoder}, at="--vocoder", spec=task.mel)
            self.vocoder = built.to(self.device)
        self.natural = [self._natural(index) for index in self.indices]
        self.metrics = singing_metrics(METRIC_NAMES)

    def facts(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for index in self.indices:
            item = self.lines.item(index, 0)
            digest.update(item["utt"].encode())
            digest.update(np.ascontiguousarray(item["mel"]).tobytes())
        return {
            "weights": self.weights,
            "lines": len(self.indices),
            "data": digest.hexdigest()[:12],
            "seed": self.seed,
            "noise scale": self.noise_scale,
            "vocoder": self.vocoder_name,
            "batch seconds": self.batch_seconds,
            "device": self.device.type,
        }

    def references(self) -> Sequence[str]:
        return ["mu"] if self.vocoder is None else ["mu", "copy"]

    def measure_reference(self, name: str) -> tuple[Metrics, float | None]:
        if name == "copy":
            return self._scores(self.natural), None
        return self._measured(None)

    def measure(self, sampler: Sampler) -> tuple[Metrics, float]:
        return self._measured(sampler)

    def _measured(self, sampler: Sampler | None) -> tuple[Metrics, float]:
        mels, rtf = self._sing(sampler)
        items = [self.lines.item(index, 0) for index in self.indices]
        sung = [
            Item(mel=mel, wav=self._wav(mel, item["f0"], item["utt"]))
            for mel, item in zip(mels, items, strict=True)
        ]
        return self._scores(sung), rtf

    def _scores(self, sung: Sequence[Item]) -> Metrics:
        return self.numbers(score_row(self.natural, sung, self.task.mel, self.metrics))

    def _sing(self, sampler: Sampler | None) -> tuple[list[np.ndarray], float]:
        """The mels (F, T) of all lines, and the real-time factor."""
        mels: dict[int, np.ndarray] = {}
        seconds = 0.0
        for indices in self._batches():
            items = [self.lines.item(index, 0) for index in indices]
            batch = self.task.collate(items, [0] * len(items))
            noise = SeededNoise([item_seed(self.seed, item["utt"]) for item in items])
            start = time.perf_counter()
            song = self.task.generate(
                batch["score"].to(self.device), sampler, noise, self.noise_scale
            )
            found = song.mel.float().cpu().numpy()
            seconds += time.perf_counter() - start
            for index, item, mel in zip(indices, items, found, strict=True):
                mels[index] = mel[:, : item["mel"].shape[1]]
        frames = sum(mel.shape[1] for mel in mels.values())
        if not all(np.isfinite(mel).all() for mel in mels.values()):
            raise ConfigError("the mels are not finite")
        return [mels[index] for index in self.indices], seconds * self.task.mel.frame_rate / frames

    def _natural(self, index: int) -> Item:
        """A recording's mel and, with a vocoder, its resynthesised waveform."""
        item = self.lines.item(index, 0)
        wav = self._wav(item["mel"], item["f0"], item["utt"])
        return Item(mel=item["mel"], wav=wav).prepared(self.task.mel)

    @torch.inference_mode()
    def _wav(self, mel: np.ndarray, f0: np.ndarray, utt: str) -> np.ndarray | None:
        if self.vocoder is None:
            return None
        wav = self.vocoder(
            torch.from_numpy(np.ascontiguousarray(mel))[None].to(self.device),
            torch.from_numpy(f0)[None].to(self.device),
            SeededNoise([item_seed(self.seed, utt, "vocoder")]),
        )
        return wav[0].cpu().numpy()

    def _batches(self) -> list[list[int]]:
        """Batches of line numbers of similar duration, up to `batch_seconds` in total."""
        most = self.batch_seconds * self.task.mel.frame_rate
        batches: list[list[int]] = [[]]
        for index in sorted(self.indices, key=lambda i: (self.lines.lengths[i], i)):
            if batches[-1] and self.lines.lengths[index] * (len(batches[-1]) + 1) > most:
                batches.append([])
            batches[-1].append(index)
        return batches
