"""Checks of the structure of a separation model: transform, batches, frozen parts."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from voicediff.audio import STFT
from voicediff.diagnostics.check import Check, above, below, not_measured
from voicediff.diagnostics.detectors import cross_talk, disagreement, round_trip
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.samplers import Sampler
from voicediff.tasks.avss.model import SpeechSeparation, speaker_seeds
from voicediff.tasks.base import Task
from voicediff.video.constants import HOP

ROUND_TRIP = 60.0  # dB
SAME = 1e-3  # relative; single precision with another order of summation
UNTOUCHED = 1e-5  # relative; same order of summation
LENGTHS = (32640, 16001)  # samples; one is no multiple of the hop


def transform(stft: STFT) -> list[Check]:
    """Analysis and synthesis as the model is configured."""
    spectra = [stft(torch.zeros(1, samples)) for samples in LENGTHS]
    wrong = [
        samples
        for samples, spectrum in zip(LENGTHS, spectra, strict=True)
        if stft.inverse(spectrum, samples).shape[-1] != samples
    ]
    quality = math.nan if wrong else min(round_trip(stft, samples) for samples in LENGTHS)
    return [
        above("stft", "STFT and back: SI-SDR", quality, ROUND_TRIP, "dB"),
        Check(
            "length", "STFT and back: samples", "other" if wrong else "equal", "equal", not wrong
        ),
    ]


def batches(task: SpeechSeparation, batch: dict[str, Any], sampler: Sampler | None) -> list[Check]:
    """Whether mixtures (at least 3, of several lengths) give equal outputs in every batch.

    In single precision: in bfloat16 another order of summation changes the third digit.
    """
    separate = Separating(task, sampler)
    with precise(task):
        apart = disagreement(lambda indices: separate.items(batch, indices))
        mixture, mouth = batch["mixture"], batch["mouth"]
        change = cross_talk(
            lambda x, m: separate(batch | {"mixture": x, "mouth": m}), mixture, mouth
        )
    return [
        below("batches", "batch 1, 2, 3: largest difference", apart, SAME, "", 6),
        below("neighbours", "other clips of the batch change it by", change, UNTOUCHED, "", 7),
    ]


class Separating:
    """batch -> tracks (B, S, N), with noise seeded by mixture."""

    def __init__(self, task: SpeechSeparation, sampler: Sampler | None):
        self.task, self.sampler = task, sampler

    def __call__(self, batch: dict[str, Any]) -> Tensor:
        device = next(self.task.parameters()).device
        names = ("mixture", "mouth", "valid", "face", "frames")
        inputs = [batch[name].to(device) for name in names]
        noise = SeededNoise(speaker_seeds(batch["seeds"], batch["mouth"].shape[1]))
        return self.task.separate(*inputs, self.sampler, noise).tracks.float()

    def items(self, batch: dict[str, Any], indices: list[int]) -> list[Tensor]:
        """Tracks (S, n) of some of the mixtures, separated as one batch and cut to their lengths."""
        frames = batch["frames"][indices]
        longest = int(frames.max())
        part = {
            "mixture": batch["mixture"][indices, : longest * HOP],
            "mouth": batch["mouth"][indices, :, :longest],
            "valid": batch["valid"][indices, :, :longest],
            "face": batch["face"][indices],
            "frames": frames,
            "seeds": [batch["seeds"][index] for index in indices],
        }
        voices = self(part)
        return [v[:, : int(n) * HOP] for v, n in zip(voices, frames, strict=True)]


def frozen(task: Task, batch: dict[str, Any]) -> Check:
    """How many parts that a target does not train run in train mode while it is trained.

    Each target is run on a copy of the model, parameters thawed and frozen as the trainer does it.
    """
    title = "frozen parts in train mode"
    loose: set[str] = set()
    count = 0
    for target, prefixes in task.targets.items():
        copied = copy.deepcopy(task).train()
        never = {name for name, p in copied.named_parameters() if not p.requires_grad}
        for name, parameter in copied.named_parameters():
            parameter.requires_grad_(name.startswith(tuple(prefixes)) and name not in never)
        with running(copied) as modes, torch.no_grad():
            copied(batch, target)
        idle = {name for name in modes if _is_frozen(copied, name, tuple(prefixes))}
        count += len(idle)
        loose |= {f"{name} ({target})" for name in idle if modes[name]}
    if not count:
        return not_measured("frozen", title, "no part is frozen")
    shown = f"{len(loose)} of {count}" + (f", e.g. {min(loose)}" if loose else "")
    return Check("frozen", title, shown, "0", not loose, {"names": sorted(loose), "of": count})


@contextmanager
def running(model: nn.Module) -> Iterator[dict[str, bool]]:
    """Within the block: the modules that ran, and whether they were in train mode."""
    modes: dict[str, bool] = {}

    def note(name: str):
        def hook(module: nn.Module, inputs: Any) -> None:
            modes[name] = modes.get(name, False) or module.training

        return hook

    hooks = [m.register_forward_pre_hook(note(n)) for n, m in model.named_modules() if n]
    try:
        yield modes
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def precise(task: SpeechSeparation) -> Iterator[None]:
    """Compute in single precision within the block."""
    parts = [part for part in (task, task.diffusion) if part is not None]
    kept = [part.bf16 for part in parts]
    try:
        for part in parts:
            part.bf16 = False
        yield
    finally:
        for part, value in zip(parts, kept, strict=True):
            part.bf16 = value


def _is_frozen(task: Task, name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether no parameter of a module is trained; a module without parameters is like its parent."""
    parameters = list(task.get_submodule(name).parameters())
    if parameters:
        return not any(p.requires_grad for p in parameters)
    parent = name.rpartition(".")[0]
    if not parent:
        return not f"{name}.".startswith(prefixes)
    return _is_frozen(task, parent, prefixes)
