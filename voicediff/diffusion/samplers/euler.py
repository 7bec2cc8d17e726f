"""Euler's method."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "euler")
class Euler(Sampler):
    """Euler's method on the probability-flow ODE, first order: the simplest; wants many steps.

    A step costs one call.

    midtime: Grad-TTS' own sampler (Popov et al. 2021): the walk goes down to t = 0 without a closing
        step, and network and coefficients are taken in the middle of each step with the state of
        its beginning. Only for parity: on a bridge this biases the result.
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

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            at = Node.at(walk.sde, (here.t + there.t) / 2) if self.midtime else here
            x = x + (there.t - here.t) * at.velocity(walk.estimate(x, at), walk.mu)
            walk.report(there.t, x, self.steps)
        return x
