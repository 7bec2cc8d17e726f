"""Distillation as an optimisation target of tasks with a diffusion part."""

from __future__ import annotations

from torch import Tensor

from voicediff.diffusion.distillation import Distillation
from voicediff.diffusion.model import Diffusion, DiffusionLosses
from voicediff.diffusion.noise import Noise
from voicediff.networks.conditions import Conditions


def distillation_loss(
    target: str,
    distillation: Distillation,
    student: Diffusion,
    x0: Tensor,
    mu: Tensor,
    cond: Conditions,
    mask: Tensor,
    noise: Noise,
    noise_scale: float = 1.0,
    t_start: float | None = None,
) -> DiffusionLosses:
    """The student's loss for the target `consistency` or `reflow` (which needs no x0)."""
    if target == "consistency":
        return distillation.consistency(student, x0, mu, cond, mask, noise)
    return distillation.reflow(student, mu, cond, mask, noise, noise_scale, t_start)
