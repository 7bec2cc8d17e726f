"""Adaptive Runge-Kutta 5(4)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.objectives import Estimate
from voicediff.diffusion.samplers.base import Sampler, SamplingRun
from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.networks.layers import per_item
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import register

# Dormand and Prince 1980: times, stage weights, fifth-order weights, and fifth minus fourth
TIMES = (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
FIFTH = (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@register("sampler", "rk45")
class RK45(Sampler):
    """Runge-Kutta 5(4) with adaptive steps on the probability-flow ODE (Dormand and Prince 1980).

    The reference for other samplers: accurate to `tolerance` at any cost. Each item has its own step
    sizes, chosen from its own error, so that the result does not depend on the batch or on padding.

    tolerance: error per step relative to the item's norm. max_calls: limit of NFE; beyond it a
    ConfigError is raised.
    """

    def __init__(
        self,
        tolerance: float = 1e-4,
        max_calls: int = 10_000,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(2 if close == "data" else 1, {"name": "uniform"}, close)
        self.tolerance, self.max_calls = tolerance, max_calls

    @property
    def nfe(self) -> None:
        return None

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        t = widened(x.new_ones(len(x))) * run.nodes[0].t
        end = run.nodes[-1].t
        _ = run.nodes[0].derivatives  # raises where the slope is infinite
        h = (t - end) / 50
        slope = self._slope(run, x, t)
        while (t > end).any():
            if run.nfe > self.max_calls:
                raise ConfigError(
                    f"sampler: rk45 needed nfe {run.nfe} to reach t = {t.max().item():.3g}; "
                    "increase the tolerance or use another sampler"
                )
            h = torch.minimum(h, t - end)
            there, new_slope, error = self._step(run, x, t, h, slope)
            accept = (error <= 1) & (h > 0)
            x, slope = _chosen(accept, there, x), _chosen(accept, new_slope, slope)
            t = torch.where(accept, torch.where(t - h <= end, end, t - h), t)
            h = h * (0.9 * error.clamp(min=1e-10) ** -0.2).clamp(0.2, 5.0)
            run.report(t.max().item(), x, run.step + 1)
        return x

    def _step(
        self, run: SamplingRun, x: Tensor, t: Tensor, h: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x after one step, the slope there, and each item's error divided by the tolerance (B,)."""
        slopes = [slope]
        for share, weights in zip(TIMES[1:], STAGES[1:], strict=True):
            slopes.append(self._slope(run, _moved(x, h, weights, slopes), t - share * h))
        there = _moved(x, h, FIFTH, slopes)
        slopes.append(self._slope(run, there, t - h))
        error = _norm(_moved(torch.zeros_like(x), h, ERROR, slopes))
        return there, slopes[-1], error / (self.tolerance * torch.maximum(_norm(x), _norm(there)))

    def _slope(self, run: SamplingRun, x: Tensor, t: Tensor) -> Tensor:
        return _velocity(run.sde, run.estimate_at(x, narrowed(t, x)), run.mu, t)


def _velocity(sde: SDE, predicted: Estimate, mu: Tensor, t: Tensor) -> Tensor:
    da, db, dsigma = (narrowed(per_item(d, mu), mu) for d in sde.derivatives(t))
    return da * predicted.data + db * mu + dsigma * predicted.noise


def _moved(x: Tensor, h: Tensor, weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    change = sum(w * slope for w, slope in zip(weights, slopes, strict=True) if w)
    return x - narrowed(per_item(h, x), x) * change


def _chosen(accept: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(per_item(accept, new).to(new.device), new, old)


def _norm(x: Tensor) -> Tensor:
    return widened(torch.linalg.vector_norm(x.flatten(1), dim=1))
