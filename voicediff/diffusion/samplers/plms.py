"""Pseudo linear multistep."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Sampler, Walk
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
    """PNDM's pseudo linear multistep: Adams-Bashforth on the noise, DDIM's transfer (Liu et al. 2022).

    DiffSinger's fast sampler. A step costs one call; the first steps use lower orders instead of
    Runge-Kutta's extra calls. Second order.
    """

    def __init__(
        self,
        steps: int = 20,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        past: list[Tensor] = []  # noise estimates, newest first
        for here, there in walk.pairs:
            thought = walk.estimate(x, here)
            past = [thought.noise, *past[:3]]
            noise, data = thought.noise, thought.data
            if len(past) > 1:  # where a is 0 (at the start) only the estimate knows the data
                noise = sum(w * e for w, e in zip(ADAMS[len(past)], past, strict=True))
                data = (here.offset(x, walk.mu) - here.sigma * noise) / here.a
            x = there.state(data, noise, walk.mu)
            walk.report(there.t, x, self.steps)
        return x
