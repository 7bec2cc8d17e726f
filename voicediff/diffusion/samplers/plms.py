"""PLMS, the pseudo linear multistep method of PNDM."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Sampler, SamplingRun
from voicediff.registry import Spec, register

#: Adams-Bashforth weights for equal steps, newest first
ADAMS = {
    1: (1.0,),
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


@register("sampler", "plms")
class PLMS(Sampler):
    """PNDM's pseudo linear multistep: Adams-Bashforth on the noise, DDIM steps (Liu et al. 2022).

    The fast sampler of DiffSinger; second order. One network evaluation per step: the first steps
    use lower orders in place of the paper's Runge-Kutta steps.
    """

    def __init__(
        self,
        steps: int = 20,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        past: list[Tensor] = []  # noise estimates, newest first
        for here, there in run.pairs:
            predicted = run.estimate(x, here)
            past = [predicted.noise, *past[:3]]
            noise, data = predicted.noise, predicted.data
            if (
                len(past) > 1
            ):  # at a = 0 (the first step) the data cannot be computed from x and noise
                noise = sum(w * e for w, e in zip(ADAMS[len(past)], past, strict=True))
                data = (here.offset(x, run.mu) - here.sigma * noise) / here.a
            x = there.state(data, noise, run.mu)
            run.report(there.t, x, self.steps)
        return x
