"""Detectors of faults of separation models: each returns one number with a known healthy range.

None needs a training. They take functions and modules, so that they apply to trained models, single
layers and data loaders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from voicediff.diffusion.sdes import SDE
from voicediff.networks import losses

RATE, FPS = 16000, 25


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """SI-SDR in dB of complete signals, (B, N) -> (B,)."""
    return losses.si_sdr(
        estimate, target, torch.full((len(target),), target.shape[-1], device=target.device)
    )


def seconds_off(video_start: Callable[[int], int], seconds: int = 5) -> float:
    """Largest distance in s between a crop's sound and its video, over crops that begin on a frame.

    `video_start(sample)`: the frame that a loader reads. Healthy: below half a frame, 0.02 s.
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
    """Share of the initial weights in the average after `updates` steps. Healthy: below 0.01."""
    share = 1.0
    for update in range(1, updates + 1):
        share *= decay(update)
    return share


def shared(trained: Iterable[str], validated: Iterable[str]) -> float:
    """Share of the speakers (or sentences) of validation that are also in training. Healthy: 0."""
    validated = set(validated)
    return len(validated & set(trained)) / len(validated)


@torch.no_grad()
def order_sensitivity(fuse: Callable[[Tensor], Tensor], lips: Tensor) -> float:
    """Relative change of the fused output when the lip frames (B, T, D) are reversed. Healthy: above 0."""
    straight, backwards = fuse(lips), fuse(lips.flip(1))
    return _change(backwards, straight)


@torch.no_grad()
def frozen_drift(module: nn.Module, mouth: Tensor) -> float:
    """Relative change of the output of a module that should be frozen, during training. Healthy: 0.

    Compares two passes over mouth (B, ...), the second with the clips one by one, and the outputs in
    eval mode before and after them (running statistics).
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


def start_separation(sde: SDE, apart: float = 50.0) -> float:
    """Distance of two speakers' states at t_max in standard deviations. Healthy: below 5.

    In training that state is a(t) x0 + b(t) mu + sigma(t) z; in sampling it holds no x0. `apart`:
    distance of the speakers' compressed spectra (about 50 for 2 s).
    """
    t = torch.tensor([sde.t_max], dtype=torch.float64)
    return (sde.a(t) * apart / sde.sigma(t)).item()


@torch.no_grad()
def cross_talk(answer: Callable[..., Tensor], *inputs: Tensor) -> float:
    """Relative change of the first item's output when all others become equal to it. Healthy: 0.

    inputs (B, ...): everything in which the items differ.
    """
    changed = [x[:1].expand_as(x).contiguous() for x in inputs]
    return _change(answer(*changed)[0], answer(*inputs)[0])


@torch.no_grad()
def disagreement(answer: Callable[[list[int]], Sequence[Tensor]], items: int = 3) -> float:
    """Largest relative difference of an item's output alone and in batches of 2 and more. Healthy: 0.

    `answer(indices)` returns the outputs of these items, computed as one batch.
    """
    alone = [answer([index])[0] for index in range(items)]
    return max(
        _change(together, alone[index])
        for size in range(2, items + 1)
        for index, together in enumerate(answer(list(range(size))))
    )


def stuck(curve: list[float], mixture: float, margin: float = 0.5) -> bool:
    """Whether a loss curve in dB ended within a margin of the loss of the unprocessed mixture."""
    last = curve[-max(1, len(curve) // 5) :]
    return sum(last) / len(last) > mixture - margin


def _change(now: Tensor, before: Tensor) -> float:
    """|now - before| / |before|; nan if a value is not finite."""
    return ((now - before).norm() / before.norm().clamp(min=1e-12)).item()
