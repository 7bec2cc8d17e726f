"""The stochastic sampler of EDM."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "edm")
class EDMSampler(Sampler):
    """EDM sampler: Heun's method in rho = sigma / a with noise churn (Karras et al. 2022, Alg. 2).

    v = (x - b mu) / a brings every process to the paper's form v = data + rho noise. Two network
    evaluations per step, one for the closing step. churn 0 is the deterministic sampler (Alg. 1).

    churn: S_churn, the noise added back over all steps; s_min, s_max: range of rho in which it is
    added; s_noise: its standard deviation.
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

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        for here, there in run.pairs:
            x, here = self._churned(run, x, here)
            first = run.estimate(x, here)
            guess = there.state(first.data, first.noise, run.mu)
            second = run.estimate(guess, there)
            if here.a > 0:
                slope = (first.noise + second.noise) / 2
                v = here.offset(x, run.mu) / here.a + (_rho(there) - _rho(here)) * slope
                u = there.a * v
                x = u + there.b * run.mu if run.sde.centred else u
            else:
                x = guess
            run.report(there.t, x, self.steps)
        return x

    def _churned(self, run: SamplingRun, x: Tensor, here: Node) -> tuple[Tensor, Node]:
        """x with noise added back, and the earlier node that it then belongs to."""
        gamma = min(self.churn / self.steps, math.sqrt(2) - 1)
        if not gamma or here.a == 0 or not self.s_min <= _rho(here) <= self.s_max:
            return x, here
        top = Node.at(run.sde, run.sde.t_max)
        rho = _rho(here) * (1 + gamma)
        if top.a > 0 and rho >= _rho(top):
            earlier = top
        else:
            log_snr = torch.tensor([-math.log(rho)], dtype=torch.float64)
            earlier = Node.at(run.sde, run.sde.time_of(log_snr).item())
        grown = math.sqrt(max(_rho(earlier) ** 2 - _rho(here) ** 2, 0.0))
        v = here.offset(x, run.mu) / here.a + grown * self.s_noise * run.noise(x)
        u = earlier.a * v
        return (u + earlier.b * run.mu if run.sde.centred else u), earlier


def _rho(node: Node) -> float:
    return node.sigma / node.a
