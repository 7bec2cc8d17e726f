"""Distillation of a trained diffusion model into a one- or two-step model.

Regression from noise to data in one step gives the conditional mean, because noise and data are
unpaired. The probability-flow ODE of a trained model (the teacher) pairs each noise with one sample,
so that a distilled model (the student) can predict the sample in one evaluation and keep the variance.

    reflow        train on pairs (x at t_max, the teacher's x0) along the path between the two, which
                  is straight in x / (a + sigma), where DDIM is Euler (rectified flow, Liu et al. 2023)
    consistency   train the student's data estimate f(x_t, t) to be equal at both ends of each short
                  step of the teacher, and equal to the teacher's at t_min (Song et al. 2023, Alg. 2)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from voicediff.diffusion.guidance import GuidanceTerm
from voicediff.diffusion.model import Diffusion, DiffusionLosses
from voicediff.diffusion.noise import Noise
from voicediff.diffusion.objectives import from_data
from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import per_item
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import Spec, build

#: optimisation targets of a task in which its diffusion model is the student
DISTILLING = ("reflow", "consistency")


@dataclass
class DistillationOptions:
    """Options of distillation. The teacher is a frozen copy of the student's initial weights.

    Attributes:
        sampler: solver of the teacher that generates the data of a pair (target `reflow`).
        steps, grid: the short steps into which `consistency` divides the path.
        order: order of the teacher's short step; 2 needs two network evaluations.
        target_decay: decay of the averaged student, which gives the targets of
            `consistency`; 0 uses the student itself.
        weighting: the error of `consistency` is measured on the `data`, or on the `answer`, the
            decoder's output (a larger weight at low noise).
        guidance: guidance scales of the teacher by condition; the student then samples without.
        sde, objective: those of the teacher, where they differ from the student's (`reflow` only).
    """

    sampler: Spec = field(default_factory=lambda: {"name": "dpm_solver", "steps": 10})
    steps: int = 16
    grid: Spec = field(default_factory=lambda: {"name": "log_snr"})
    order: Literal[1, 2] = 2
    target_decay: float = 0.95
    weighting: Literal["data", "answer"] = "data"
    guidance: dict[str, float] = field(default_factory=dict)
    sde: Spec | None = None
    objective: Spec | None = None


class Distillation(nn.Module):
    """A frozen teacher and the losses of its student.

    Args:
        student: the model to train. It is passed to the losses and is no submodule of this one.
        teacher: by default a copy of the student, whose weights `begin` sets.
    """

    def __init__(
        self, student: Diffusion, options: DistillationOptions, teacher: Diffusion | None = None
    ):
        super().__init__()
        if student.drop:
            raise ConfigError(
                "task.diffusion.drop: distillation drops no conditions; remove this option and set "
                "the teacher's guidance instead (task.distillation.guidance)"
            )
        self.copied = teacher is None
        self.teacher = _teacher_of(student, options) if teacher is None else teacher
        self.teacher.eval().requires_grad_(False)
        self.target = copy.deepcopy(student).requires_grad_(False) if options.target_decay else None
        self.sampler = build("sampler", options.sampler, at="task.distillation.sampler")
        self.grid = build("grid", options.grid, at="task.distillation.grid")
        self.steps, self.order = options.steps, options.order
        self.decay, self.weighting = options.target_decay, options.weighting
        self.scales = options.guidance

    def begin(self, student: Diffusion, source: Path | None) -> None:
        """Copy the student's weights, loaded from `source`, to the teacher (if a copy) and the target.

        ConfigError where there is no `source`: an untrained model cannot be the teacher.
        """
        if self.copied and source is None:
            raise ConfigError(
                "task.distillation: no teacher; start from a trained model (--init-from EXP)"
            )
        weights = student.state_dict()
        if self.copied:
            self.teacher.load_state_dict(weights)
        if self.target is not None:
            self.target.load_state_dict(weights)

    def train(self, mode: bool = True) -> Distillation:
        """Teacher and target always stay in eval mode."""
        return super().train(False)

    def loss(
        self,
        target: str,
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
            return self.consistency(student, x0, mu, cond, mask, noise)
        return self.reflow(student, mu, cond, mask, noise, noise_scale, t_start)

    def reflow(
        self,
        student: Diffusion,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        noise: Noise,
        noise_scale: float = 1.0,
        t_start: float | None = None,
    ) -> DiffusionLosses:
        """The student's loss on pairs of noise and the teacher's sample from it; needs no recordings.

        noise_scale, t_start: those with which the student will sample, see `Diffusion.sample`.
        """
        z = noise(mu)
        start, own = (
            model.sde.prior(mu, lambda like: z, noise_scale, t_start)
            for model in (self.teacher, student)
        )
        guidance = self._guidance(mu, cond)
        x0 = self.teacher.sample(
            self.sampler, mu, cond, mask, noise, x=start, t_start=t_start, guidance=guidance
        )
        path = student.noise_between(x0, own, mu, t_start)
        return student.loss(x0, mu, cond, mask, noise, z=path)

    def consistency(
        self,
        student: Diffusion,
        x0: Tensor,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        noise: Noise,
    ) -> DiffusionLosses:
        """Squared difference of the student's data estimates at both ends of a teacher's short step.

        x0, mu (B, C, F, T). x at the later time is noised from x0; the estimate at the earlier time,
        reached with the teacher, is its target.
        """
        if self.teacher.sde is not student.sde:
            raise ConfigError(
                "task.distillation.sde: consistency requires the teacher's process; remove this option"
            )
        if student.training:
            self._update_target(student)
        keep = mask[:, None, None].to(x0.dtype)
        x0, mu = x0 * keep, mu.detach() * keep
        number = self._step_numbers(len(x0), noise, x0.device)
        times = self.grid(student.sde, self.steps, student.sde.t_max, student.sde.t_min)
        times = times.to(x0.device, x0.dtype)
        late, early = times[number], times[number + 1]
        x = student.noised(x0, mu, late, noise) * keep
        with torch.no_grad():
            target_data = self._target_data(student, x, late, early, mu, cond, mask)
        estimate = student.estimate(x, mu, late, cond, mask)
        squared = ((estimate.data - target_data).square() * keep).flatten(1, -2).mean(1)  # (B, T)
        by_item = squared.sum(1) * self._weight(student, late)
        count = mask.sum(1)
        return DiffusionLosses(by_item.sum(), count.sum(), by_item / count.clamp(1), late, estimate)

    def _target_data(
        self,
        student: Diffusion,
        x: Tensor,
        late: Tensor,
        early: Tensor,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
    ) -> Tensor:
        """The target's data estimate after one step of the teacher; at t_min the teacher's."""
        teacher, sde = self._teacher(mu, cond, mask), student.sde
        data = teacher(x, late)
        there = ddim_step(sde, x, mu, late, early, data)
        if self.order == 2:  # the trapezoid in the exponential integrator
            there = ddim_step(sde, x, mu, late, early, (data + teacher(there, early)) / 2)
        target = student if self.target is None else self.target
        target_data = target.estimate(there, mu, early, cond, mask).data
        last = early <= sde.t_min
        if last.any():
            target_data = torch.where(last[:, None, None, None], teacher(there, early), target_data)
        return target_data

    def _teacher(
        self, mu: Tensor, cond: Conditions, mask: Tensor
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The teacher's data estimate, guided, as a function of x and t."""
        estimate = self.teacher.guided_denoiser(mu, cond, mask, guidance=self._guidance(mu, cond))
        return lambda x, t: estimate(x, t).data

    def _guidance(self, mu: Tensor, cond: Conditions) -> list[GuidanceTerm]:
        return self.teacher.guidance_terms(self.scales, mu, cond) if self.scales else []

    def _step_numbers(self, size: int, noise: Noise, device: torch.device) -> Tensor:
        """Indices (B,) of short steps, uniformly distributed."""
        share = torch.special.ndtr(noise(torch.zeros(size, 1))[:, 0])
        return (share * self.steps).long().clamp(max=self.steps - 1).to(device)

    def _weight(self, student: Diffusion, t: Tensor) -> Tensor:
        if self.weighting == "data":
            return torch.ones_like(t)
        gain = student.objective.gain(student.sde, widened(t))
        return narrowed(gain.square().reciprocal(), t)

    @torch.no_grad()
    def _update_target(self, student: Diffusion) -> None:
        if self.target is not None:
            own, new = list(self.target.parameters()), list(student.parameters())
            torch._foreach_lerp_(own, [p.detach() for p in new], 1 - self.decay)


def ddim_step(sde: SDE, x: Tensor, mu: Tensor, late: Tensor, early: Tensor, data: Tensor) -> Tensor:
    """x (B, ...) at times late (B,) moved to early (B,) by a DDIM step with the given data."""
    noise = from_data(data, sde, x, mu, late).noise
    mean, sigma = sde.marginal(data, mu, early)
    return mean + per_item(sigma, x) * noise


def _teacher_of(student: Diffusion, options: DistillationOptions) -> Diffusion:
    """A copy of the student with the teacher's process and objective."""
    teacher = copy.deepcopy(student)
    teacher.sde, teacher.objective = student.sde, student.objective
    for name in ("sde", "objective"):
        spec = getattr(options, name)
        if spec is not None:
            setattr(teacher, name, build(name, spec, at=f"task.distillation.{name}"))
    teacher.objective.require(teacher.sde)
    teacher.drop = dict.fromkeys(options.guidance, 1.0)  # so that guidance_terms accepts them
    return teacher
