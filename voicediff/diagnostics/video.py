"""Checks on what a separator does with its video: whose voice, and what without the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voicediff.data.separation.mixtures import SAME_VOICE
from voicediff.diagnostics.check import Check, above, below, not_measured, reported
from voicediff.diffusion.samplers import Sampler
from voicediff.inference.separation import separate_batch
from voicediff.networks.losses import si_sdr
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.constants import HOP

SWAP, RIGHT, COST = 5.0, 95.0, 5.0  # dB, %, dB
TITLES = {
    "swap": "outputs for face A and for face B: SI-SDR",
    "selection": "right voice chosen",
    "zeroed": "black video costs, same voice",
    "shuffled": "shuffled video costs, same voice",
}
Change = Callable[[Tensor], Tensor]


@dataclass
class Heard:
    """One row per voice of a list, all (n,): SI-SDRi in dB of the end and of the predictor alone,
    SI-SDR to the next voice's output, whether the right voice is the nearest, whether the pair is
    one person twice.
    """

    gain: Tensor
    first: Tensor
    swap: Tensor
    right: Tensor
    same: Tensor

    @classmethod
    def joined(cls, parts: list[Heard]) -> Heard:
        return cls(
            *(torch.cat(column) for column in zip(*(vars(p).values() for p in parts), strict=True))
        )


def black(mouth: Tensor) -> Tensor:
    """Nothing is seen, and the mask of valid frames does not know."""
    return torch.zeros_like(mouth)


def shuffled(mouth: Tensor) -> Tensor:
    """The frames of each video (B, S, T, ...) in one random order."""
    draw = torch.Generator().manual_seed(0)
    return mouth[:, :, torch.randperm(mouth.shape[2], generator=draw)]


def video_checks(
    task: SpeechSeparation,
    batches: Iterable[dict[str, Any]],
    sampler: Sampler | None,
    seed: int = 0,
) -> list[Check]:
    """Separate a list as it is, and its same-voice mixtures with videos that tell nothing."""
    batches = list(batches)
    heard = listen(task, batches, sampler, seed)
    checks = [quality(task, heard, sampler)]
    if batches[0]["sources"].shape[1] < 2 or (task.lips is None and task.identity is None):
        why = "one voice" if batches[0]["sources"].shape[1] < 2 else "the model sees no video"
        return checks + [not_measured(name, title, why) for name, title in TITLES.items()]
    checks.append(below("swap", TITLES["swap"], heard.swap.mean().item(), SWAP, "dB"))
    right = 100 * heard.right.float().mean().item()
    checks.append(above("selection", TITLES["selection"], right, RIGHT, "%"))
    return checks + costs(task, batches, heard, sampler, seed)


def costs(
    task: SpeechSeparation, batches: list[dict[str, Any]], heard: Heard, sampler, seed: int
) -> list[Check]:
    """What the picture is worth where only the lips tell the voices apart."""
    only = [same for same in map(only_same, batches) if same]
    why = "" if only else "the list has no pair of the same voice"
    why = "the model sees no lips" if task.lips is None else why
    checks = []
    for name, change in (("zeroed", black), ("shuffled", shuffled)):
        if why:
            checks.append(not_measured(name, TITLES[name], why))
            continue
        without = listen(task, only, sampler, seed, change).gain.mean().item()
        cost = heard.gain[heard.same].mean().item() - without
        checks.append(above(name, TITLES[name], cost, COST, "dB"))
    return checks


def quality(task: SpeechSeparation, heard: Heard, sampler: Sampler | None) -> Check:
    """SI-SDRi of predictor and of predictor with generator, side by side."""
    shown, figures = [], {}
    for kind, chosen in (("different", ~heard.same), ("same", heard.same)):
        if not chosen.any():
            continue
        first, final = heard.first[chosen].mean().item(), heard.gain[chosen].mean().item()
        parts = []
        if task.predictor is not None:
            figures[f"predictor_{kind}"] = first
            parts.append(f"predictor {first:+.2f}")
        if sampler is not None:
            figures[f"final_{kind}"] = final
            parts.append(f"{'with ' if parts else ''}generator {final:+.2f}")
        shown.append(f"{kind}: {', '.join(parts)}")
    return reported("quality", "SI-SDRi in dB by kind of pair", "; ".join(shown), **figures)


@torch.no_grad()
def listen(
    task: SpeechSeparation,
    batches: Iterable[dict[str, Any]],
    sampler: Sampler | None,
    seed: int = 0,
    change: Change = lambda mouth: mouth,
) -> Heard:
    """Separate all mixtures; `change` is done to the mouths (B, S, T, 96, 96)."""
    parts = []
    for batch in batches:
        found = separate_batch(task, batch | {"mouth": change(batch["mouth"])}, sampler, seed)
        voices, first = found.voices.float().cpu(), found.first.float().cpu()
        parts.append(compare(batch, voices, first))
    return Heard.joined(parts)


def compare(batch: dict[str, Any], voices: Tensor, first: Tensor) -> Heard:
    """voices, first (B, S, N) against the batch's sources."""
    sources, samples, count = batch["sources"], batch["frames"] * HOP, voices.shape[1]

    def ratios(estimate: Tensor, target: Tensor) -> Tensor:
        columns = [si_sdr(estimate[:, s], target[:, s], samples) for s in range(count)]
        return torch.stack(columns, 1)

    mixture = batch["mixture"][:, None].expand_as(sources)
    before, after = ratios(mixture, sources), ratios(voices, sources)
    others = [ratios(voices, sources.roll(shift, 1)) for shift in range(1, count)]
    nearest = torch.stack(others).amax(0) if others else torch.full_like(after, -torch.inf)
    same = torch.tensor([pair == SAME_VOICE for pair in batch["pairs"]])
    return Heard(
        gain=(after - before).flatten(),
        first=(ratios(first, sources) - before).flatten(),
        swap=ratios(voices, voices.roll(1, 1)).flatten(),
        right=(after > nearest).flatten(),
        same=same.repeat_interleave(count),
    )


def only_same(batch: dict[str, Any]) -> dict[str, Any] | None:
    """The mixtures of a batch in which one person talks twice; None where there are none."""
    chosen = [i for i, pair in enumerate(batch["pairs"]) if pair == SAME_VOICE]
    if not chosen:
        return None
    return {
        name: values[chosen] if isinstance(values, Tensor) else [values[i] for i in chosen]
        for name, values in batch.items()
    }


def moved(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
