"""Euler-Maruyama."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.objectives import Estimate
from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "euler_maruyama")
class EulerMaruyama(Sampler):
    """Euler-Maruyama on the reverse SDE (Song et al. 2021, Eq. 6): first order, stochastic.

    One network evaluation per step; needs many steps. The noise lets early errors decay.

    midtime: the stochastic sampler of Grad-TTS, see `midtime` of `euler`.
    """

    def __init__(
        self,
        steps: int = 100,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        midtime: bool = False,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, "none" if midtime else close)
        self.midtime = midtime
        self.t_end = 0.0 if midtime else None

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        for here, there in run.pairs:
            at = Node.at(run.sde, (here.t + there.t) / 2) if self.midtime else here
            h = here.t - there.t
            x = x - h * reverse_drift(at, run.estimate(x, at), run.mu)
            x = x + at.diffusion * math.sqrt(h) * run.noise(x)
            run.report(there.t, x, self.steps)
        return x


def reverse_drift(node: Node, predicted: Estimate, mu: Tensor) -> Tensor:
    """Drift f - g^2 score of the reverse SDE, computed as ODE velocity - g^2 score / 2."""
    return node.velocity(predicted, mu) - node.diffusion**2 / 2 * node.score(predicted)
