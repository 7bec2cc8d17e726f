"""Checks of singing models and vocoders: finite, independent of the batch, matching mel settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voicediff.diagnostics.check import Check, below
from voicediff.diagnostics.detectors import disagreement
from voicediff.diagnostics.diffusion_time import loss_by_time
from voicediff.diagnostics.structure import SAME
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import DataError
from voicediff.tasks.base import Batch
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.tasks.vocoder import Vocoding

ITEMS = 3


def singing_checks(task: SingingSynthesis, folder: Path, sampler: Sampler | None) -> list[Check]:
    """Generate the first lines of a feature folder, one by one and as batches."""
    checks = [mel_agreement(task, folder)]
    if not checks[0].passed:
        return checks  # the other checks need mels of the right settings
    dataset = task.dataset(folder, False, {})
    items = [dataset.item(index, 0) for index in range(min(ITEMS, len(dataset)))]

    def sing(indices: list[int]) -> list[Tensor]:
        batch = batch_of(task, items, indices)
        noise = SeededNoise(batch["seeds"])
        mels = task.generate(batch["score"], sampler, noise).mel.float()
        return [mel[:, : items[i]["mel"].shape[1]] for mel, i in zip(mels, indices, strict=True)]

    checks += answers(sing, len(items))
    checks.append(loss_by_time(task, [batch_of(task, items, range(len(items)))], "decoder", 16))
    return checks


def vocoder_checks(task: Vocoding, folder: Path) -> list[Check]:
    """Synthesise a few segments of a feature folder, one by one and as batches."""
    checks = [mel_agreement(task, folder)]
    if not checks[0].passed:
        return checks
    dataset = task.dataset(folder, False, {})
    items = [dataset.item(index, 0) for index in range(min(ITEMS, len(dataset)))]
    return checks + answers(
        lambda indices: list(task.make(batch_of(task, items, indices))), len(items)
    )


@torch.no_grad()
def answers(answer: Callable[[list[int]], Sequence[Tensor]], count: int) -> list[Check]:
    """Whether outputs are finite, not silent, and equal one by one and in batches."""
    alone = torch.cat([answer([index])[0].flatten() for index in range(count)])
    bad = int((~alone.isfinite()).sum())
    moving = bool(alone.isfinite().all() and alone.std() > 0)
    shown = f"{bad} values of {alone.numel()} are not" if bad else "all"
    apart = disagreement(answer, count)
    title = f"batch {', '.join(map(str, range(1, count + 1)))}: largest difference"
    return [
        Check("finite", "outputs finite", shown, "all", moving, {"not_finite": bad}),
        below("batches", title, apart, SAME, "", 6),
    ]


def mel_agreement(task: SingingSynthesis | Vocoding, folder: Path) -> Check:
    """Whether the features have the mel settings of the model."""
    path = folder / "index.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["mel"]
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run stage 2 (features) first") from None
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); run stage 2 again") from error
    wanted, title = task.mel.hash, "mel settings of the features"
    return Check("mel", title, found, f"= {wanted}", found == wanted, {"model": wanted})


def batch_of(
    task: SingingSynthesis | Vocoding, items: Sequence[dict[str, Any]], indices: Sequence[int]
) -> Batch:
    """A batch of some items, each with its own seed, on the device of the model."""
    device = next(task.parameters()).device
    seeds = [item_seed("doctor", items[index]["utt"]) for index in indices]
    batch = task.collate([items[index] for index in indices], seeds)
    return {k: v.to(device) if hasattr(v, "to") else v for k, v in batch.items()}
