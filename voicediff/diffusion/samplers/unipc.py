"""UniPC."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.diffusion.samplers.exponential import polynomial_integrals, transfer
from voicediff.registry import Spec, register

Past = list[tuple[float, Tensor]]  # (lambda, data estimate), newest last


@register("sampler", "unipc")
class UniPC(Sampler):
    """UniPC: multistep exponential predictor and corrector (Zhao et al. 2023).

    The corrector reuses the data estimate of the next step, so it raises the order without further
    network evaluations: one per step. Weights integrate the interpolating polynomial exactly.

    order: of the predictor, 1 to 3; with the corrector the order of the method is one higher.
    """

    def __init__(
        self,
        steps: int = 10,
        grid: Spec = {"name": "log_snr"},  # noqa: B006
        order: Literal[1, 2, 3] = 2,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)
        self.order = order

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        past: Past = []
        before: tuple[Tensor, Node] | None = None  # corrected state and node of the previous step
        for here, there in run.pairs:
            data = run.estimate(x, here).data
            if before is not None:
                x = self._step(run, *before, here, [*past, (here.log_snr, data)])
            past = [p for p in past if math.isfinite(p[0])]
            past = [*past, (here.log_snr, data)][-self.order :]
            before = (x, here)
            x = self._step(run, x, here, there, past)
            run.report(there.t, x, self.steps)
        return x

    def _step(self, run: SamplingRun, x: Tensor, here: Node, there: Node, known: Past) -> Tensor:
        """From x at `here` to `there` through the polynomial of the known data estimates."""
        if math.isinf(here.log_snr):  # a = 0: lambda is infinite, so no polynomial
            return transfer(x, run.mu, here, there, known[-1][1])
        known = [k for k in known if math.isfinite(k[0])]
        weights = polynomial_integrals([k[0] for k in known], here.log_snr, there.log_snr)
        change = sum(float(w) * data for w, (_, data) in zip(weights, known, strict=True))
        return transfer(x, run.mu, here, there, change)
