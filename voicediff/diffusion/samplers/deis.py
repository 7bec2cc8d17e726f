"""DEIS."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "deis")
class DEIS(Sampler):
    """Diffusion exponential integrator in rho = sigma / a, Adams-Bashforth (Zhang and Chen 2023).

    With v = (x - b mu) / a the flow is dv/drho = noise, integrated through the polynomial of the last
    `order` noise estimates at their true distances: `plms` made exact on every grid.
    """

    def __init__(
        self,
        steps: int = 10,
        grid: Spec = {"name": "karras"},  # noqa: B006
        order: Literal[1, 2, 3] = 3,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)
        self.order = order

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        past: list[tuple[float, Tensor]] = []  # (rho, noise estimate)
        for here, there in walk.pairs:
            thought = walk.estimate(x, here)
            if here.a > 0:
                past = [*past, (here.sigma / here.a, thought.noise)][-self.order :]
                weights = _integrals([rho for rho, _ in past], here, there)
                change = sum(float(w) * e for w, (_, e) in zip(weights, past, strict=True))
                u = there.a * (here.offset(x, walk.mu) / here.a + change)
                x = u + there.b * walk.mu if walk.sde.centred else u
            else:
                x = there.state(thought.data, thought.noise, walk.mu)
            walk.report(there.t, x, self.steps)
        return x


def _integrals(places: list[float], here: Node, there: Node) -> np.ndarray:
    """Weights of values at `places` in the integral of their polynomial over rho of the step."""
    start, stop = here.sigma / here.a, there.sigma / there.a
    scale = stop - start
    offsets = (np.asarray(places) - start) / scale
    powers = [offsets**k / math.factorial(k) for k in range(len(places))]
    moments = [1 / math.factorial(k + 1) for k in range(len(places))]
    return scale * np.linalg.solve(np.stack(powers), np.array(moments))
