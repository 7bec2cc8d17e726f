"""Predictor-corrector sampling."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.diffusion.samplers.euler_maruyama import reverse_drift
from voicediff.networks.layers import per_item
from voicediff.registry import Spec, register


@register("sampler", "predictor_corrector")
class PredictorCorrector(Sampler):
    """Reverse-diffusion predictor and Langevin corrector (Song et al. 2021, Alg. 1), as in SGMSE.

    At each time of the grid: first the corrections, then one step of the reverse SDE. A step needs
    1 + corrections network evaluations; SGMSE uses 30 steps.

    snr: r in the corrector's step size. corrector: `annealed`, step size 2 (r sigma)^2; `norm`,
        2 (r |z| / |score|)^2 with the norms of each item (score_sde uses batch means).
    close: `mean`, a last predictor step from t_min to 0 without noise, as in SGMSE.
    """

    def __init__(
        self,
        steps: int = 30,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        snr: float = 0.5,
        corrections: int = 1,
        corrector: Literal["annealed", "norm"] = "annealed",
        close: Literal["mean", "data", "none"] = "mean",
    ):
        super().__init__(steps, grid, close)
        self.snr, self.corrections, self.corrector = snr, corrections, corrector

    @property
    def nfe(self) -> int:
        full = self.steps if self.close == "mean" else self.intervals
        return full * (1 + self.corrections) + (self.close == "data")

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        for here, there in run.pairs:
            h = here.t - there.t
            x = self._predicted(run, x, here, h) + here.diffusion * math.sqrt(h) * run.noise(x)
            run.report(there.t, x, self.steps)
        return x

    def finish(self, run: SamplingRun, x: Tensor) -> Tensor:
        if self.close != "mean":
            return super().finish(run, x)
        last = run.nodes[-1]
        x = self._predicted(run, x, last, last.t)
        run.report(0.0, x, self.steps)
        return x

    def _predicted(self, run: SamplingRun, x: Tensor, here: Node, h: float) -> Tensor:
        """Corrections at `here`, then the mean of a predictor step of size h."""
        for _ in range(self.corrections):
            x = self.corrected(run, x, here)
        return x - h * reverse_drift(here, run.estimate(x, here), run.mu)

    def corrected(self, run: SamplingRun, x: Tensor, here: Node) -> Tensor:
        """x after one Langevin step at `here`: one network evaluation and one noise sample."""
        score = here.score(run.estimate(x, here))
        z = run.noise(x)
        size = x.new_full(x.shape[:1], 2 * (self.snr * here.sigma) ** 2)
        if self.corrector == "norm":
            ratio = _norm(z) / _norm(score).clamp(min=1e-12)
            size = 2 * (self.snr * ratio).square()
        size = per_item(size, x)
        return x + size * score + (2 * size).sqrt() * z


def _norm(x: Tensor) -> Tensor:
    """Euclidean norm of each item, (B,)."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1)
