"""Validation of separation: SI-SDR improvement by kind of mixture, and sounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from voicediff.networks.losses import si_sdr
from voicediff.tasks.avss.inference import Separated
from voicediff.tasks.base import Batch, Preview
from voicediff.video.constants import HOP, SAMPLE_RATE


def preview(
    batches: Sequence[Batch], separate: Callable[[Batch], Separated], sounds: int
) -> Preview:
    """SI-SDR improvement of the tracks and of the predictor alone, in total and by kind of pair.

    `selection` is the share of tracks that are most similar to the right source. `sounds` is the
    number of mixtures of which the first track is played.
    """
    result = Preview(sample_rate=SAMPLE_RATE)
    rows: dict[str, list[float]] = {}
    for batch in batches:
        found = separate(batch)
        for name, value in _scores(found, batch):
            rows.setdefault(name, []).append(value)
        for i in range(min(sounds - len(result.sounds), len(batch["utts"]))):
            samples = int(batch["frames"][i]) * HOP
            result.sounds[batch["utts"][i]] = found.tracks[i, 0, :samples].float().cpu().numpy()
    result.scalars = {name: float(np.mean(values)) for name, values in sorted(rows.items())}
    result.scalars["minus_si_sdri"] = -result.scalars["si_sdri"]
    return result


def _scores(found: Separated, batch: Batch) -> list[tuple[str, float]]:
    """Name and value of each score of each mixture."""
    final, selected = _improvement(found.tracks, batch)
    first, _ = _improvement(found.predictor_tracks, batch)
    scores = []
    for i, pair in enumerate(batch["pairs"]):
        for name, values in (("si_sdri", final), ("predictor_si_sdri", first)):
            value = values[i].mean().item()
            scores += [(name, value), (f"{name}_{pair}", value)]
        scores.append(("selection", selected[i].float().mean().item()))
    return scores


def _improvement(tracks: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """SI-SDR improvement in dB (B, S), and whether the right source is the most similar one (B, S)."""
    samples, sources = batch["frames"] * HOP, batch["sources"]
    speakers = range(sources.shape[1])
    table = torch.stack(
        [
            torch.stack([si_sdr(tracks[:, i], sources[:, j], samples) for j in speakers], 1)
            for i in speakers
        ],
        1,
    )  # (B, track, source)
    before = torch.stack([si_sdr(batch["mixture"], sources[:, j], samples) for j in speakers], 1)
    right = table.diagonal(dim1=1, dim2=2)
    return right - before, table.argmax(2) == torch.arange(len(speakers), device=table.device)
