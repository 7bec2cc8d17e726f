"""The diffusion loss by bin of t: the mean over t hides the ends of the interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voicediff.diagnostics.check import Check, above
from voicediff.diffusion.model import Diffusion, DiffusionLosses
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.networks.conditions import Conditions
from voicediff.tasks.base import Task

BINS = 5
FOLLOWED = 95.0  # %


def loss_by_time(
    task: Task, batches: Iterable[dict[str, Any]], target: str, samples: int = 4
) -> Check:
    """Mean loss in each bin of t, and the squared error of the data estimate relative to that of mu.

    The ratio matters more: below 1 the estimate is better than mu. A model that predicts noise may
    have ratios far above 1 near t = 1 while its loss is small.
    """
    title = f"loss by bin of t (0 to 1, {BINS} bins)"
    found = [measured for batch in batches for measured in _of(task, batch, target, samples)]
    t, loss, ratio = (torch.cat(column) for column in zip(*found, strict=True))
    bins = (t * BINS).long().clamp(0, BINS - 1)
    means, ratios = ([_mean(values[bins == b]) for b in range(BINS)] for values in (loss, ratio))
    finite = bool(loss.isfinite().all() and ratio.isfinite().all())
    shown = f"{' '.join(map(_text, means))} (error relative to mu: {' '.join(map(_text, ratios))})"
    figures = {"losses": means, "errors": ratios, "bins": BINS}
    return Check("times", title, shown, "finite", finite, figures)


@torch.no_grad()
def _of(
    task: Task, batch: dict[str, Any], target: str, samples: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """t, loss and error relative to mu, (B,) each, for several samples of t and noise."""
    for sample in range(samples):
        seeds = [item_seed("times", sample, seed) for seed in batch["seeds"]]
        with recorded(task.diffusion) as calls:
            task(batch | {"seeds": seeds}, target)
        for call in calls:
            found = call.losses
            error, mean = (
                ((data - call.x0) * call.keep).square().flatten(1).sum(1)
                for data in (found.estimate.data, call.mu)
            )
            yield found.t.cpu(), found.by_item.cpu(), (error / mean.clamp(min=1e-12)).cpu()


@dataclass(frozen=True)
class Call:
    """Arguments and result of one evaluation of the loss: x0, mu (B, C, F, T), mask (B, T)."""

    x0: Tensor
    mu: Tensor
    cond: Conditions
    mask: Tensor
    losses: DiffusionLosses

    @property
    def keep(self) -> Tensor:
        return self.mask[:, None, None].to(self.x0.dtype)


@contextmanager
def recorded(diffusion: Diffusion) -> Iterator[list[Call]]:
    """Record each call of the loss within the block."""
    calls, asked = [], diffusion.loss

    def loss(x0: Tensor, mu: Tensor, cond: Conditions, mask: Tensor, *rest: Any, **named: Any):
        answer = asked(x0, mu, cond, mask, *rest, **named)
        calls.append(Call(x0, mu, cond, mask, answer))
        return answer

    diffusion.loss = loss
    try:
        yield calls
    finally:
        del diffusion.loss


@torch.no_grad()
def follows_face(task: Task, batches: Iterable[dict[str, Any]]) -> Check:
    """Share of estimates at t_max that follow the face when the state is that of the other speaker.

    In training the state at t_max is made from the target itself. With a process that keeps a part of
    it (`ouve`: a = 0.22) the network can read the target from the state instead of the lips. In
    sampling the initial state is mu plus noise and holds no target.
    """
    title = "state of the other speaker at t_max: follows the face"
    votes = [vote for batch in batches for vote in _conflicts(task, batch)]
    share = 100 * torch.cat(votes).float().mean().item()
    return above("leak", title, share, FOLLOWED, "%")


def _conflicts(task: Task, batch: dict[str, Any]) -> Iterator[Tensor]:
    """Whether the estimate is nearer to the speaker of the face than to that of the state, (B S,)."""
    voices, diffusion = batch["sources"].shape[1], task.diffusion
    with recorded(diffusion) as calls:
        task(batch, "generator")
    for call in calls:
        other = call.x0.unflatten(0, (-1, voices)).roll(1, 1).flatten(0, 1)
        end = diffusion.sde.t_max
        x = diffusion.noised(other, call.mu, end, SeededNoise(range(len(other))))
        t = x.new_full((len(x),), end)
        # undo residual_scale, which stretches the data of the process around mu
        data = diffusion.estimate(x, call.mu, t, call.cond, call.mask).data
        data = call.mu + (data - call.mu) / diffusion.residual_scale
        far, near = (((data - v) * call.keep).flatten(1).norm(dim=1) for v in (other, call.x0))
        yield (near < far).cpu()


def _mean(values: Tensor) -> float:
    return values.mean().item() if len(values) else math.nan


def _text(value: float) -> str:
    return f"{value:.3g}"
