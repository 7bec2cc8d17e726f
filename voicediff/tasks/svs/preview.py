"""Validation of singing synthesis: metrics of generated mels, pictures and sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.registry import build
from voicediff.tasks.base import Batch, Preview
from voicediff.tasks.pictures import stacked
from voicediff.tasks.svs.inference import Song

#: metrics that need no waveform: cheap enough for validation
METRICS = ("frechet", "log_mel_error", "variance_ratio", "modulation_ratio")

Mels = tuple[np.ndarray, np.ndarray, np.ndarray]  # (F, T) each: recorded, mu, sampled


def preview(
    batches: Sequence[Batch],
    mean: Callable[[Batch], Song],
    sample: Callable[[Batch], Song],
    spec: MelSpec,
    pictures: int,
) -> Preview:
    """Metrics of sampled mels against the recordings; those of mu have the prefix `mu_`.

    Args:
        mean, sample: the mels of a batch without and with a sampler.
        pictures: number of items that are shown and played.
    """
    result, lines = Preview(sample_rate=spec.sample_rate), []
    for batch in batches:
        for utt, mels, f0 in _lines(batch, mean(batch), sample(batch)):
            lines.append(mels)
            if len(result.pictures) < pictures:
                result.pictures[utt] = stacked(mels)
                result.sounds[utt] = _waveform(mels[2], f0, spec)
    recorded, means, sampled = zip(*lines, strict=True)
    result.scalars = _scores(recorded, sampled, spec)
    result.scalars |= {f"mu_{k}": v for k, v in _scores(recorded, means, spec).items()}
    return result


def _lines(batch: Batch, mean: Song, song: Song) -> Iterator[tuple[str, Mels, Tensor]]:
    """Name, mels and F0 of each item, without padding."""
    for i, utt in enumerate(batch["utts"]):
        frames = int(batch["score"].mask[i].sum())
        batches = (batch["mel"], mean.mel, song.mel)
        mels = tuple(mel[i, :, :frames].float().cpu().numpy() for mel in batches)
        yield utt, mels, song.f0[i, :frames]


def _scores(
    recorded: Sequence[np.ndarray], other: Sequence[np.ndarray], spec: MelSpec
) -> dict[str, float]:
    pairs = ([Item(mel=mel) for mel in mels] for mels in (recorded, other))
    return score_row(*pairs, spec, singing_metrics(METRICS))


@torch.inference_mode()
def _waveform(mel: np.ndarray, f0: Tensor, spec: MelSpec) -> np.ndarray:
    vocoder = build("vocoder", {"name": "griffin_lim"}, spec=spec)
    return vocoder(torch.from_numpy(mel)[None], f0[None].cpu())[0].numpy()
