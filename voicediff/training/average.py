"""Exponential moving average of the weights, for inference."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from voicediff.tasks.base import Task
from voicediff.training.options import Average


def averaged(task: Task, options: Average) -> AveragedModel:
    """An exponential moving average of `task`'s weights; its buffers follow the task's.

    For the first `warmup` updates it is a plain copy; then update n has the decay
    min(decay, n / (n + 9)), so that the initial weights soon lose their influence.
    """

    @torch.no_grad()
    def blend(average: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        torch._foreach_lerp_(average, current, 1 - decay_at(int(updates), options))

    average = AveragedModel(task, multi_avg_fn=blend)
    return average.requires_grad_(False)


def decay_at(updates: int, options: Average) -> float:
    """The decay after `updates` updates."""
    after = updates - options.warmup
    return 0.0 if after < 0 else min(options.decay, after / (after + 9))
