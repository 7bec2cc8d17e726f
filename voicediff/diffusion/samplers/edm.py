"""Karras' stochastic sampler."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "edm")
class EDMSampler(Sampler):
    """Heun in rho = sigma / a with a little fresh noise before each step (Karras et al. 2022, Alg. 2).

    With v = (x - b mu) / a every process is Karras': v = data + rho noise. A step costs two calls, the
    closing one. churn 0 is his deterministic sampler (Alg. 1).

    churn: S_churn, total amount of noise put back, over the steps; s_min, s_max: between which rho;
    s_noise: its standard deviation.
    """

    def __init__(
        self,
        steps: int = 18,
        grid: Spec = {"name": "karras"},  # noqa: B006
        churn: float = 0.0,
        s_min: float = 0.05,
        s_max: float = 50.0,
        s_noise: float = 1.0,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)
        self.churn, self.s_min, self.s_max, self.s_noise = churn, s_min, s_max, s_noise

    @property
    def nfe(self) -> int:
        return 2 * self.intervals + self.steps - self.intervals

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            x, here = self._churned(walk, x, here)
            first = walk.estimate(x, here)
            guess = there.state(first.data, first.noise, walk.mu)
            second = walk.estimate(guess, there)
            if here.a > 0:
                slope = (first.noise + second.noise) / 2
                v = here.offset(x, walk.mu) / here.a + (_rho(there) - _rho(here)) * slope
                u = there.a * v
                x = u + there.b * walk.mu if walk.sde.centred else u
            else:
                x = guess
            walk.report(there.t, x, self.steps)
        return x

    def _churned(self, walk: Walk, x: Tensor, here: Node) -> tuple[Tensor, Node]:
        """x with noise put back, and the earlier time where it belongs."""
        gamma = min(self.churn / self.steps, math.sqrt(2) - 1)
        if not gamma or here.a == 0 or not self.s_min <= _rho(here) <= self.s_max:
            return x, here
        top = Node.at(walk.sde, walk.sde.t_max)
        rho = _rho(here) * (1 + gamma)
        if top.a > 0 and rho >= _rho(top):
            earlier = top
        else:
            clock = torch.tensor([-math.log(rho)], dtype=torch.float64)
            earlier = Node.at(walk.sde, walk.sde.time_of(clock).item())
        grown = math.sqrt(max(_rho(earlier) ** 2 - _rho(here) ** 2, 0.0))
        v = here.offset(x, walk.mu) / here.a + grown * self.s_noise * walk.noise(x)
        u = earlier.a * v
        return (u + earlier.b * walk.mu if walk.sde.centred else u), earlier


def _rho(node: Node) -> float:
    return node.sigma / node.a
