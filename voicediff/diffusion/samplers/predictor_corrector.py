"""Predictor-corrector sampling."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.diffusion.samplers.euler_maruyama import reverse_drift
from voicediff.networks.layers import per_item
from voicediff.registry import Spec, register


@register("sampler", "predictor_corrector")
class PredictorCorrector(Sampler):
    """Reverse-diffusion predictor with annealed Langevin corrector (Song et al. 2021, Alg. 1): SGMSE's.

    At each time of the grid first the correctors, then one step of the reverse SDE. A step costs
    1 + corrections calls; SGMSE uses 30 steps.

    snr: r in the corrector's step size. corrector: `annealed` steps by 2 (r sigma)^2; `norm` by
        2 (r |z| / |score|)^2 with norms of each item (score_sde's, with batch means).
    close: `mean`, a last predictor step from t_min to 0 without its noise, as SGMSE ends.
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

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            h = here.t - there.t
            x = self._predicted(walk, x, here, h) + here.diffusion * math.sqrt(h) * walk.noise(x)
            walk.report(there.t, x, self.steps)
        return x

    def finish(self, walk: Walk, x: Tensor) -> Tensor:
        if self.close != "mean":
            return super().finish(walk, x)
        last = walk.nodes[-1]
        x = self._predicted(walk, x, last, last.t)
        walk.report(0.0, x, self.steps)
        return x

    def _predicted(self, walk: Walk, x: Tensor, here: Node, h: float) -> Tensor:
        """Corrections at `here`, then the mean of a step by h."""
        for _ in range(self.corrections):
            x = self.corrected(walk, x, here)
        return x - h * reverse_drift(here, walk.estimate(x, here), walk.mu)

    def corrected(self, walk: Walk, x: Tensor, here: Node) -> Tensor:
        """x after one Langevin step at `here`; costs a call and a draw."""
        score = here.score(walk.estimate(x, here))
        z = walk.noise(x)
        size = x.new_full(x.shape[:1], 2 * (self.snr * here.sigma) ** 2)
        if self.corrector == "norm":
            ratio = _norm(z) / _norm(score).clamp(min=1e-12)
            size = 2 * (self.snr * ratio).square()
        size = per_item(size, x)
        return x + size * score + (2 * size).sqrt() * z


def _norm(x: Tensor) -> Tensor:
    """Of each item, (B,)."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1)
