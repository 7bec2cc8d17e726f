"""Heun's method."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "heun")
class Heun(Sampler):
    """Heun's second-order method on the probability-flow ODE, in t (Karras et al. 2022, Alg. 1).

    A step costs two calls, the closing one. Robust on every process; at its best on the quadratic grid.
    """

    def __init__(
        self,
        steps: int = 10,
        grid: Spec = {"name": "quadratic"},  # noqa: B006
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)

    @property
    def nfe(self) -> int:
        return 2 * self.intervals + self.steps - self.intervals

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            h = there.t - here.t
            first = here.velocity(walk.estimate(x, here), walk.mu)
            guess = x + h * first
            second = there.velocity(walk.estimate(guess, there), walk.mu)
            x = x + h * (first + second) / 2
            walk.report(there.t, x, self.steps)
        return x
