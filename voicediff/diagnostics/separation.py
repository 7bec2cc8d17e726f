"""All checks of a separation model, in the order of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voicediff.data.separation.dataset import ListedMixtures
from voicediff.diagnostics.av_sync import flash_and_click
from voicediff.diagnostics.check import Check, not_measured
from voicediff.diagnostics.diffusion_time import follows_face, loss_by_time
from voicediff.diagnostics.structure import batches, frozen, transform
from voicediff.diagnostics.training_progress import training_checks
from voicediff.diagnostics.video import moved, video_checks
from voicediff.diffusion.samplers import Sampler
from voicediff.experiment import Experiment
from voicediff.inference.separation import batches_of
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.training.options import read_training
from voicediff.video.constants import HOP

BATCH = 3  # mixtures that are separated one by one and as batches
SHORTER = (0, 9, 17)  # frames by which they are shortened, so that the batch has padding


def separation_checks(
    loaded: Experiment,
    mixtures: ListedMixtures,
    sampler: Sampler | None,
    seed: int = 0,
    size: int = 8,
) -> Iterator[Check]:
    """The checks one after the other, fast ones first; `size` mixtures form a batch."""
    task: SpeechSeparation = loaded.task
    few = shortened(task, mixtures)
    yield from training_checks(loaded)
    yield from transform(task.stft)
    yield flash_and_click(task, read_training(loaded.config).phases[-1].data)
    yield from batches(task, few, sampler)
    device = next(task.parameters()).device
    yield frozen(task, moved(few, device))
    listed = list(batches_of(task, mixtures, size))
    yield from diffusion_checks(task, [moved(b, device) for b in listed[:3]], listed)
    yield from video_checks(task, listed, sampler, seed)


def diffusion_checks(
    task: SpeechSeparation, some: list[dict[str, Any]], listed: list[dict[str, Any]]
) -> Iterator[Check]:
    if task.diffusion is None:
        yield not_measured("times", "loss by bin of t", "the model has no generator")
        return
    yield loss_by_time(task, some, "generator")
    if listed[0]["sources"].shape[1] > 1:
        yield follows_face(task, some)


def shortened(task: SpeechSeparation, mixtures: ListedMixtures) -> dict[str, Any]:
    """The first mixtures of a list as a batch of items of several lengths."""
    items = []
    for index in range(BATCH):
        item = mixtures.item(index % len(mixtures), 0)
        frames = max(item["valid"].shape[1] - SHORTER[index], 2)
        cut = {
            "mixture": item["mixture"][: frames * HOP],
            "sources": item["sources"][:, : frames * HOP],
        }
        cut |= {name: item[name][:, :frames] for name in ("mouth", "valid")}
        items.append(item | cut)
    return task.collate(items, list(range(BATCH)))
