"""DEIS, the diffusion exponential integrator sampler."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "deis")
class DEIS(Sampler):
    """DEIS: exponential integrator in rho = sigma / a, Adams-Bashforth (Zhang and Chen 2023).

    With v = (x - b mu) / a the ODE is dv/drho = noise. The polynomial through the last `order` noise
    estimates is integrated exactly, also where steps differ in size (`plms` assumes equal steps).
    One network evaluation per step.
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

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        past: list[tuple[float, Tensor]] = []  # (rho, noise estimate)
        for here, there in run.pairs:
            predicted = run.estimate(x, here)
            if here.a > 0:
                past = [*past, (here.sigma / here.a, predicted.noise)][-self.order :]
                weights = _integrals([rho for rho, _ in past], here, there)
                change = sum(float(w) * e for w, (_, e) in zip(weights, past, strict=True))
                u = there.a * (here.offset(x, run.mu) / here.a + change)
                x = u + there.b * run.mu if run.sde.centred else u
            else:
                x = there.state(predicted.data, predicted.noise, run.mu)
            run.report(there.t, x, self.steps)
        return x


def _integrals(places: list[float], here: Node, there: Node) -> np.ndarray:
    """Weights of values at `places` in the integral of their interpolating polynomial over the step."""
    start, stop = here.sigma / here.a, there.sigma / there.a
    scale = stop - start
    offsets = (np.asarray(places) - start) / scale
    powers = [offsets**k / math.factorial(k) for k in range(len(places))]
    moments = [1 / math.factorial(k + 1) for k in range(len(places))]
    return scale * np.linalg.solve(np.stack(powers), np.array(moments))
