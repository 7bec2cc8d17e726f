"""Distillation: a student learns from a trained teacher to sample in one or two calls.

A regression from noise to data in one step would give the mean, because any sample may belong to that noise.
A trained teacher's ODE ties *this* noise to *that* sample, so a student of it can answer at once
and keep the variance.

    reflow        pairs (x at t_max, the teacher's x0); the student learns on the path between the very
                  pairs, which is straight in x / (a + sigma), where DDIM is Euler (Liu et al. 2023)
    consistency   f(x_t, t), the student's data estimate, is to be the same at both ends of every short
                  step of the teacher, and the teacher's own at t_min (Song et al. 2023, Alg. 2)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from voicediff.diffusion.guidance import Guide
from voicediff.diffusion.model import Diffusion, DiffusionLosses
from voicediff.diffusion.noise import Noise
from voicediff.diffusion.objectives import from_data
from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import per_item
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import Spec, build

#: turns of a task in which its diffusion part is the student
DISTILLING = ("reflow", "consistency")


@dataclass
class Distilling:
    """How a student learns from a frozen copy of the model that it begins as.

    Attributes:
        sampler: walks the teacher from noise to the data of a pair (turn `reflow`).
        steps, grid: short steps of the path over which `consistency` asks for agreement.
        order: of the teacher's short step; 2 costs two calls.
        target: decay of the average of the student that gives targets to `consistency`; 0 takes
            the student itself.
        weighting: whether squared errors of `consistency` count as `data`, or as the `answer` of the
            decoder that they stand for (more where there is little noise).
        guidance: the teacher's scale by condition; the student then needs none.
        sde, objective: the teacher's, where the student has others (`reflow` only).
    """

    sampler: Spec = field(default_factory=lambda: {"name": "dpm_solver", "steps": 10})
    steps: int = 16
    grid: Spec = field(default_factory=lambda: {"name": "log_snr"})
    order: Literal[1, 2] = 2
    target: float = 0.95
    weighting: Literal["data", "answer"] = "data"
    guidance: dict[str, float] = field(default_factory=dict)
    sde: Spec | None = None
    objective: Spec | None = None


class Distillation(nn.Module):
    """A frozen teacher and the losses of its student.

    Args:
        student: what will be trained; it is handed to the losses and is no part of this module.
        teacher: by default a copy of the student, which `begin` fills with its first weights.
    """

    def __init__(self, student: Diffusion, options: Distilling, teacher: Diffusion | None = None):
        super().__init__()
        if student.drop:
            raise ConfigError(
                "task.diffusion.drop: a student hides no conditions; guide its teacher "
                "(task.distillation.guidance) and take this out"
            )
        self.copied = teacher is None
        self.teacher = _taught(student, options) if teacher is None else teacher
        self.teacher.eval().requires_grad_(False)
        self.target = copy.deepcopy(student).requires_grad_(False) if options.target else None
        self.sampler = build("sampler", options.sampler, at="task.distillation.sampler")
        self.grid = build("grid", options.grid, at="task.distillation.grid")
        self.steps, self.order = options.steps, options.order
        self.decay, self.weighting = options.target, options.weighting
        self.scales = options.guidance

    def begin(self, student: Diffusion, source: Path | None) -> None:
        """The student, taken from `source`, becomes the teacher (if that is a copy), and the target."""
        if self.copied and source is None:
            raise ConfigError(
                "task.distillation: there is no teacher; begin with a trained model (--init-from EXP)"
            )
        weights = student.state_dict()
        if self.copied:
            self.teacher.load_state_dict(weights)
        if self.target is not None:
            self.target.load_state_dict(weights)

    def train(self, mode: bool = True) -> Distillation:
        """Teacher and target never train."""
        return super().train(False)

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
        """The student's loss on pairs of the prior's noise and what the teacher makes of it.

        No recordings are needed. Both begin as they will in `sample`: noise_scale, t_start (shallow).
        """
        z = noise(mu)
        begun, own = (
            model.sde.prior(mu, lambda like: z, noise_scale, t_start)
            for model in (self.teacher, student)
        )
        guides = self._guides(mu, cond)
        x0 = self.teacher.sample(
            self.sampler, mu, cond, mask, noise, x=begun, t_start=t_start, guides=guides
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

        x0, mu (B, C, F, T). The later end, noised from x0, learns from the earlier one.
        """
        if self.teacher.sde is not student.sde:
            raise ConfigError(
                "task.distillation.sde: consistency wants the teacher's process; take it out"
            )
        if student.training:
            self._follow(student)
        keep = mask[:, None, None].to(x0.dtype)
        x0, mu = x0 * keep, mu.detach() * keep
        number = self._drawn(len(x0), noise, x0.device)
        times = self.grid(student.sde, self.steps, student.sde.t_max, student.sde.t_min)
        times = times.to(x0.device, x0.dtype)
        late, early = times[number], times[number + 1]
        x = student.noised(x0, mu, late, noise) * keep
        with torch.no_grad():
            wanted = self._wanted(student, x, late, early, mu, cond, mask)
        found = student.estimate(x, mu, late, cond, mask)
        squared = ((found.data - wanted).square() * keep).flatten(1, -2).mean(1)  # (B, T)
        by_item = squared.sum(1) * self._weight(student, late)
        count = mask.sum(1)
        return DiffusionLosses(by_item.sum(), count.sum(), by_item / count.clamp(1), late, found)

    def _wanted(
        self,
        student: Diffusion,
        x: Tensor,
        late: Tensor,
        early: Tensor,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
    ) -> Tensor:
        """The data estimate after one step of the teacher; at t_min it is the teacher's own."""
        teacher, sde = self._teacher(mu, cond, mask), student.sde
        data = teacher(x, late)
        there = moved(sde, x, mu, late, early, data)
        if self.order == 2:  # the trapezoid in the exponential integrator
            there = moved(sde, x, mu, late, early, (data + teacher(there, early)) / 2)
        target = student if self.target is None else self.target
        wanted = target.estimate(there, mu, early, cond, mask).data
        last = early <= sde.t_min
        if last.any():
            wanted = torch.where(last[:, None, None, None], teacher(there, early), wanted)
        return wanted

    def _teacher(
        self, mu: Tensor, cond: Conditions, mask: Tensor
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The teacher's data estimate, guided, as a function of x and t."""
        estimate = self.teacher.steered(mu, cond, mask, guides=self._guides(mu, cond))
        return lambda x, t: estimate(x, t).data

    def _guides(self, mu: Tensor, cond: Conditions) -> list[Guide]:
        return self.teacher.guides(self.scales, mu, cond) if self.scales else []

    def _drawn(self, size: int, noise: Noise, device: torch.device) -> Tensor:
        """Numbers of short steps, all equally often."""
        share = torch.special.ndtr(noise(torch.zeros(size, 1))[:, 0])
        return (share * self.steps).long().clamp(max=self.steps - 1).to(device)

    def _weight(self, student: Diffusion, t: Tensor) -> Tensor:
        if self.weighting == "data":
            return torch.ones_like(t)
        gain = student.objective.gain(student.sde, widened(t))
        return narrowed(gain.square().reciprocal(), t)

    @torch.no_grad()
    def _follow(self, student: Diffusion) -> None:
        if self.target is not None:
            own, new = list(self.target.parameters()), list(student.parameters())
            torch._foreach_lerp_(own, [p.detach() for p in new], 1 - self.decay)


def moved(sde: SDE, x: Tensor, mu: Tensor, late: Tensor, early: Tensor, data: Tensor) -> Tensor:
    """x at times late (B,) carried to early (B,), where the data is as given: DDIM's step."""
    kept = from_data(data, sde, x, mu, late).noise
    mean, sigma = sde.marginal(data, mu, early)
    return mean + per_item(sigma, x) * kept


def _taught(student: Diffusion, options: Distilling) -> Diffusion:
    """A copy of the student with its teacher's process and objective."""
    teacher = copy.deepcopy(student)
    teacher.sde, teacher.objective = student.sde, student.objective
    for name in ("sde", "objective"):
        spec = getattr(options, name)
        if spec is not None:
            setattr(teacher, name, build(name, spec, at=f"task.distillation.{name}"))
    teacher.objective.require(teacher.sde)
    teacher.drop = dict.fromkeys(options.guidance, 1.0)  # that it was, its configuration knows
    return teacher
