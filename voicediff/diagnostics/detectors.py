"""A detector for each fault that ruins a separator: one number, and what it may be at the most.

None needs a training. They take functions and parts, so that they serve trained models, single
layers and loaders alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from voicediff.diffusion.sdes import SDE
from voicediff.networks import losses

RATE, FPS = 16000, 25


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """SI-SDR in dB of whole sounds, (B, N) -> (B,)."""
    return losses.si_sdr(
        estimate, target, torch.full((len(target),), target.shape[-1], device=target.device)
    )


def seconds_off(video_start: Callable[[int], int], seconds: int = 5) -> float:
    """Largest distance in s between a crop's sound and its video, over crops that begin on a frame.

    `video_start(sample)` is the frame that a loader reads. Healthy: below half a frame, 0.02.
    """
    starts = range(0, seconds * RATE, RATE // FPS)
    return max(abs(video_start(start) / FPS - start / RATE) for start in starts)


def round_trip(chain, samples: int = 32640) -> float:
    """SI-SDR in dB of noise through analysis and synthesis. Healthy: above 60."""
    wav = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    return si_sdr(chain.inverse(chain(wav), samples), wav).item()


def updates_of_epoch(mixtures: int, batch: int, accumulate: int) -> int:
    """Optimiser steps in an epoch. Healthy: hundreds."""
    return mixtures // (batch * accumulate)


def start_left(decay: Callable[[int], float], updates: int) -> float:
    """Share of the first, random weights in the average after so many updates. Healthy: below 0.01."""
    share = 1.0
    for update in range(1, updates + 1):
        share *= decay(update)
    return share


def shared(trained: Iterable[str], validated: Iterable[str]) -> float:
    """Share of the validation's people (or sentences) that are in the training. Healthy: 0."""
    validated = set(validated)
    return len(validated & set(trained)) / len(validated)


@torch.no_grad()
def order_heard(fuse: Callable[[Tensor], Tensor], lips: Tensor) -> float:
    """Relative change of what is fused when the lips' frames (B, T, D) run backwards. Healthy: above 0."""
    straight, backwards = fuse(lips), fuse(lips.flip(1))
    return _change(backwards, straight)


@torch.no_grad()
def unrest(module: nn.Module, mouth: Tensor) -> float:
    """How far a module that should be frozen changes its answer while training goes on. Healthy: 0.

    Two passes over mouth (B, ...), the second with the clips one by one; and the answer in eval mode
    afterwards, against that before (running statistics).
    """
    before = module.eval()(mouth)
    module.train()
    first, again = module(mouth), torch.cat([module(clip[None]) for clip in mouth])
    after = module.eval()(mouth)
    differences = (first - before, again - first, after - before)
    return max((d.norm() / before.norm()).item() for d in differences)


@torch.no_grad()
def likeness(
    separate: Callable[[Tensor, Tensor], Tensor], mixture: Tensor, mouth: Tensor, other: Tensor
) -> float:
    """SI-SDR in dB between the outputs for two faces of one mixture. Healthy: below 5."""
    return si_sdr(separate(mixture, mouth), separate(mixture, other)).mean().item()


def told_by_start(sde: SDE, apart: float = 50.0) -> float:
    """Standard deviations that two voices are apart in the state sampling starts from. Healthy: below 5.

    In training that state is a(t) x0 + b(t) mu + sigma(t) z, in use there is no x0 to read in it.
    `apart` is the distance of the voices' compressed spectra (about 50 for 2 s).
    """
    t = torch.tensor([sde.t_max], dtype=torch.float64)
    return (sde.a(t) * apart / sde.sigma(t)).item()


@torch.no_grad()
def touching(answer: Callable[..., Tensor], *inputs: Tensor) -> float:
    """Relative change of the first item's answer when all others become like it. Healthy: 0.

    inputs (B, ...) are what the items may be told apart by.
    """
    changed = [x[:1].expand_as(x).contiguous() for x in inputs]
    return _change(answer(*changed)[0], answer(*inputs)[0])


@torch.no_grad()
def disagreement(answer: Callable[[list[int]], Sequence[Tensor]], items: int = 3) -> float:
    """Largest relative difference of an item's answer alone and in batches of 2 and more. Healthy: 0.

    `answer(indices)` gives the answers of these items, computed together.
    """
    alone = [answer([index])[0] for index in range(items)]
    return max(
        _change(together, alone[index])
        for size in range(2, items + 1)
        for index, together in enumerate(answer(list(range(size))))
    )


def stuck(curve: list[float], mixture: float, margin: float = 0.5) -> bool:
    """Whether a training in dB ended within a margin of what handing back the mixture costs."""
    last = curve[-max(1, len(curve) // 5) :]
    return sum(last) / len(last) > mixture - margin


def _change(now: Tensor, before: Tensor) -> float:
    """|now - before| / |before|; nan where an answer is not finite."""
    return ((now - before).norm() / before.norm().clamp(min=1e-12)).item()
