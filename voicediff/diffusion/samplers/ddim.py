"""DDIM, ancestral sampling and the steps of the Schroedinger bridge: one formula."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, SamplingRun
from voicediff.registry import Spec, register


@register("sampler", "ddim")
class DDIM(Sampler):
    """DDIM with eta times the posterior's noise (Song, Meng and Ermon 2021, Eq. 12 and 16).

    x_t = a_t data + b_t mu + sqrt(sigma_t^2 - s^2) noise + s z, s = eta sigma_t sqrt(1 - SNR_s / SNR_t)

    First order; one network evaluation per step. eta 0 is deterministic (exponential Euler).
    """

    def __init__(
        self,
        steps: int = 20,
        grid: Spec = {"name": "log_snr"},  # noqa: B006
        eta: float = 0.0,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, close)
        self.eta = eta

    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        for here, there in run.pairs:
            predicted = run.estimate(x, here)
            fresh = self.eta * posterior_std(here, there)
            kept = math.sqrt(max(there.sigma**2 - fresh**2, 0.0))
            x = there.a * predicted.data + kept * predicted.noise
            x = x + there.b * run.mu if run.sde.centred else x
            x = x + fresh * run.noise(x) if fresh else x
            run.report(there.t, x, self.steps)
        return x


def posterior_std(here: Node, there: Node) -> float:
    """Standard deviation of q(x_t | x_s, x0), t < s: sigma_t sqrt(1 - SNR_s / SNR_t)."""
    return there.sigma * math.sqrt(-math.expm1(2 * (here.log_snr - there.log_snr)))


@register("sampler", "ancestral")
class Ancestral(DDIM):
    """DDPM's ancestral sampling from q(x_t | x_s, data estimate) (Ho et al. 2020, Alg. 2).

    The same as `ddim` with eta 1. First order; it needs hundreds of steps.
    """

    def __init__(
        self,
        steps: int = 100,
        grid: Spec = {"name": "log_snr"},  # noqa: B006
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, 1.0, close)


@register("sampler", "bridge")
class BridgeSteps(DDIM):
    """SDE or ODE steps of the Schroedinger bridge (Jukic et al. 2024, Eq. 12 and 13).

    On other processes they equal ancestral sampling (`stochastic`) or DDIM. The network is
    evaluated at the time of the current state; evaluation at the time after the step would bias the
    result. Started from x = mu at t_max = 1, the first SDE step adds noise, whereas the ODE stays
    deterministic and regresses the data.
    """

    def __init__(
        self,
        steps: int = 20,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        stochastic: bool = True,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, float(stochastic), close)
