"""Euler's method."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "euler")
class Euler(Sampler):
    """Euler's method on the probability-flow ODE (Song et al. 2021, Eq. 13): first order.

    One network evaluation per step; needs many steps.

    midtime: the sampler of Grad-TTS (Popov et al. 2021): it ends at t = 0 without a closing step, and
        evaluates network and coefficients at the middle time of each step, but with the state of its
        start. Use it for parity only: on a bridge it biases the result.
    """

    def __init__(
        self,
        steps: int = 50,
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
            x = x + (there.t - here.t) * at.velocity(run.estimate(x, at), run.mu)
            run.report(there.t, x, self.steps)
        return x
