"""DPM-Solver++."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.diffusion.samplers.exponential import (
    constant_integral,
    polynomial_integrals,
    transfer,
)
from voicediff.errors import ConfigError
from voicediff.registry import Spec, register

Past = list[tuple[float, Tensor]]  # (lambda, data estimate), newest last


@register("sampler", "dpm_solver")
class DPMSolver(Sampler):
    """DPM-Solver++: multistep exponential integrator of the data estimate (Lu et al. 2022, Alg. 2).

    The default: high accuracy at few network evaluations on every process; one per step.

    order: 1 (equal to DDIM), 2 (2M) or 3 (3M: more accurate for many steps, less robust for few).
    stochastic: solve the reverse SDE instead of the ODE (2M-SDE, order 1 or 2). Errors of the prior
        decay, so use it where the process does not reach mu at t_max (`ouve`).
    """

    def __init__(
        self,
        steps: int = 10,
        grid: Spec = {"name": "log_snr"},  # noqa: B006
        order: int = 2,
        stochastic: bool = False,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)
        if order not in ((1, 2) if stochastic else (1, 2, 3)):
            raise ConfigError(
                f"sampler.order: dpm_solver takes 1 or 2, and 3 unless stochastic; found {order}"
            )
        self.order, self.stochastic = order, stochastic

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        past: Past = []
        for here, there in run.pairs:
            past.append((here.log_snr, run.estimate(x, here).data))
            past = [p for p in past if math.isfinite(p[0])][-self.order :] or past[-1:]
            if self.stochastic:
                x = _noisy_step(run, x, here, there, past)
            else:
                x = transfer(x, run.mu, here, there, _increment(here, there, past))
            run.report(there.t, x, self.steps)
        return x


def _increment(here: Node, there: Node, past: Past) -> Tensor:
    if len(past) < 3:
        return constant_integral(here, there) * _extrapolated(there, past)
    weights = polynomial_integrals([log_snr for log_snr, _ in past], here.log_snr, there.log_snr)
    return sum(float(w) * data for w, (_, data) in zip(weights, past, strict=True))


def _extrapolated(there: Node, past: Past) -> Tensor:
    """The data estimate half a step ahead, extrapolated from the last two."""
    log_snr, data = past[-1]
    if len(past) == 1:
        return data
    former_log_snr, former = past[-2]
    return data + (there.log_snr - log_snr) / (2 * (log_snr - former_log_snr)) * (data - former)


def _noisy_step(run: SamplingRun, x: Tensor, here: Node, there: Node, past: Past) -> Tensor:
    """u_t = (sigma_t / sigma_s) e^{-h} u_s + a_t (1 - e^{-2h}) D + sigma_t sqrt(1 - e^{-2h}) z."""
    h = there.log_snr - here.log_snr
    kept = there.sigma / here.sigma * math.exp(-h) if here.sigma > 0 else 0.0
    fresh = -math.expm1(-2 * h)
    u = kept * here.offset(x, run.mu) + there.a * fresh * _extrapolated(there, past)
    u = u + there.sigma * math.sqrt(fresh) * run.noise(x)
    return u + there.b * run.mu if there.sde.centred else u
