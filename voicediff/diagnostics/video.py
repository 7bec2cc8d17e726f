"""Checks of the use of video: the right speaker, and the loss without video."""

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
    "selection": "right speaker selected",
    "zeroed": "loss with black video, same speaker",
    "shuffled": "loss with shuffled video, same speaker",
}
Change = Callable[[Tensor], Tensor]


@dataclass
class Results:
    """One value per speaker of a list, all (n,).

    Attributes:
        gain, first: SI-SDRi in dB of the final output and of the predictor alone.
        swap: SI-SDR in dB between the outputs for this face and for the next one.
        right: whether the output is nearest to the right speaker.
        same: whether both clips of the pair are of one person.
    """

    gain: Tensor
    first: Tensor
    swap: Tensor
    right: Tensor
    same: Tensor

    @classmethod
    def joined(cls, parts: list[Results]) -> Results:
        return cls(
            *(torch.cat(column) for column in zip(*(vars(p).values() for p in parts), strict=True))
        )


def black(mouth: Tensor) -> Tensor:
    """Black video; the mask of valid frames is unchanged."""
    return torch.zeros_like(mouth)


def shuffled(mouth: Tensor) -> Tensor:
    """The frames of each video (B, S, T, ...) in one random order."""
    generator = torch.Generator().manual_seed(0)
    return mouth[:, :, torch.randperm(mouth.shape[2], generator=generator)]


def video_checks(
    task: SpeechSeparation,
    batches: Iterable[dict[str, Any]],
    sampler: Sampler | None,
    seed: int = 0,
) -> list[Check]:
    """Separate a list as it is, and its same-speaker mixtures with uninformative videos."""
    batches = list(batches)
    results = separate_all(task, batches, sampler, seed)
    checks = [quality(task, results, sampler)]
    if batches[0]["sources"].shape[1] < 2 or (task.lips is None and task.identity is None):
        why = "one speaker" if batches[0]["sources"].shape[1] < 2 else "the model uses no video"
        return checks + [not_measured(name, title, why) for name, title in TITLES.items()]
    checks.append(below("swap", TITLES["swap"], results.swap.mean().item(), SWAP, "dB"))
    right = 100 * results.right.float().mean().item()
    checks.append(above("selection", TITLES["selection"], right, RIGHT, "%"))
    return checks + costs(task, batches, results, sampler, seed)


def costs(
    task: SpeechSeparation, batches: list[dict[str, Any]], results: Results, sampler, seed: int
) -> list[Check]:
    """Loss without video in mixtures where only the lips distinguish the speakers."""
    only = [same for same in map(only_same, batches) if same]
    why = "" if only else "the list has no pair of the same speaker"
    why = "the model has no lip encoder" if task.lips is None else why
    checks = []
    for name, change in (("zeroed", black), ("shuffled", shuffled)):
        if why:
            checks.append(not_measured(name, TITLES[name], why))
            continue
        without = separate_all(task, only, sampler, seed, change).gain.mean().item()
        cost = results.gain[results.same].mean().item() - without
        checks.append(above(name, TITLES[name], cost, COST, "dB"))
    return checks


def quality(task: SpeechSeparation, results: Results, sampler: Sampler | None) -> Check:
    """SI-SDRi of the predictor alone and with the generator."""
    shown, figures = [], {}
    for kind, chosen in (("different", ~results.same), ("same", results.same)):
        if not chosen.any():
            continue
        first, final = results.first[chosen].mean().item(), results.gain[chosen].mean().item()
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
def separate_all(
    task: SpeechSeparation,
    batches: Iterable[dict[str, Any]],
    sampler: Sampler | None,
    seed: int = 0,
    change: Change = lambda mouth: mouth,
) -> Results:
    """Separate all mixtures; `change` is applied to the mouths (B, S, T, 96, 96)."""
    parts = []
    for batch in batches:
        found = separate_batch(task, batch | {"mouth": change(batch["mouth"])}, sampler, seed)
        voices, first = found.tracks.float().cpu(), found.predictor_tracks.float().cpu()
        parts.append(compare(batch, voices, first))
    return Results.joined(parts)


def compare(batch: dict[str, Any], voices: Tensor, first: Tensor) -> Results:
    """Compare voices, first (B, S, N) with the sources of the batch."""
    sources, samples, count = batch["sources"], batch["frames"] * HOP, voices.shape[1]

    def ratios(estimate: Tensor, target: Tensor) -> Tensor:
        columns = [si_sdr(estimate[:, s], target[:, s], samples) for s in range(count)]
        return torch.stack(columns, 1)

    mixture = batch["mixture"][:, None].expand_as(sources)
    before, after = ratios(mixture, sources), ratios(voices, sources)
    others = [ratios(voices, sources.roll(shift, 1)) for shift in range(1, count)]
    nearest = torch.stack(others).amax(0) if others else torch.full_like(after, -torch.inf)
    same = torch.tensor([pair == SAME_VOICE for pair in batch["pairs"]])
    return Results(
        gain=(after - before).flatten(),
        first=(ratios(first, sources) - before).flatten(),
        swap=ratios(voices, voices.roll(1, 1)).flatten(),
        right=(after > nearest).flatten(),
        same=same.repeat_interleave(count),
    )


def only_same(batch: dict[str, Any]) -> dict[str, Any] | None:
    """The mixtures of a batch with two clips of one person; None if there are none."""
    chosen = [i for i, pair in enumerate(batch["pairs"]) if pair == SAME_VOICE]
    if not chosen:
        return None
    return {
        name: values[chosen] if isinstance(values, Tensor) else [values[i] for i in chosen]
        for name, values in batch.items()
    }


def moved(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
