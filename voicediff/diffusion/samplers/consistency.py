"""Sampling from a consistency student."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "consistency")
class ConsistencySteps(Sampler):
    """Multistep consistency sampling: data, fresh noise, data again (Song et al. 2023, Alg. 1).

    Only for models whose data estimate is the end of the path (turn `consistency`), which one call
    samples; each further call, at a time of the grid, mends what the first one blurred. With
    any other model it gives too little variance. A step costs one call.
    """

    def __init__(
        self,
        steps: int = 2,
        grid: Spec = {"name": "log_snr"},  # noqa: B006
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)

    @property
    def intervals(self) -> int:
        return self.steps

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for number, (here, there) in enumerate(walk.pairs, start=1):
            thought = walk.estimate(x, here)
            if number == self.steps and self.close == "data":
                walk.report(0.0, thought.data, self.steps)
                return thought.data
            x = there.state(thought.data, walk.noise(x), walk.mu)
            walk.report(there.t, x, self.steps)
        return x

    def finish(self, walk: Walk, x: Tensor) -> Tensor:
        return x
