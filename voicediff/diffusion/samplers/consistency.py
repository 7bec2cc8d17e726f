"""Sampling from a consistency model."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "consistency")
class ConsistencySteps(Sampler):
    """Multistep consistency sampling (Song et al. 2023, Alg. 1); only for consistency models.

    Each step estimates the data, then adds fresh noise of the next time of the grid. A consistency
    model (optimisation target `consistency`) maps any x_t to the end of its path, so one step is already
    a sample and further steps refine it. Other models estimate E[x0 | x_t], and their samples get
    too little variance. One network evaluation per step.
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

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        for number, (here, there) in enumerate(run.pairs, start=1):
            predicted = run.estimate(x, here)
            if number == self.steps and self.close == "data":
                run.report(0.0, predicted.data, self.steps)
                return predicted.data
            x = there.state(predicted.data, run.noise(x), run.mu)
            run.report(there.t, x, self.steps)
        return x

    def finish(self, run: SamplingRun, x: Tensor) -> Tensor:
        return x
