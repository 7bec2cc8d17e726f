"""DDIM, ancestral sampling and the bridge's own steps: one formula."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "ddim")
class DDIM(Sampler):
    """DDIM with a share eta of the posterior's noise (Song, Meng and Ermon 2021, Eq. 12 and 16).

    x_t = a_t data + b_t mu + sqrt(sigma_t^2 - s^2) noise + s z, s = eta sigma_t sqrt(1 - SNR_s / SNR_t)

    A step costs one call; first order. eta 0 is deterministic, the exponential Euler step.
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

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            thought = walk.estimate(x, here)
            drawn = self.eta * posterior_std(here, there)
            kept = math.sqrt(max(there.sigma**2 - drawn**2, 0.0))
            x = there.a * thought.data + kept * thought.noise
            x = x + there.b * walk.mu if walk.sde.centred else x
            x = x + drawn * walk.noise(x) if drawn else x
            walk.report(there.t, x, self.steps)
        return x


def posterior_std(here: Node, there: Node) -> float:
    """Standard deviation of q(x_t | x_s, x0), t < s: sigma_t sqrt(1 - SNR_s / SNR_t)."""
    return there.sigma * math.sqrt(-math.expm1(2 * (here.log_snr - there.log_snr)))


@register("sampler", "ancestral")
class Ancestral(DDIM):
    """Ancestral sampling: draws from q(x_t | x_s, data estimate) (Ho et al. 2020, Alg. 2).

    DDPM's own sampler, `ddim` with eta 1; first order in steps, hundreds of them.
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
    """The Schroedinger bridge's own SDE or ODE steps (Jukic et al. 2024, Eq. 12 and 13).

    Works on every process, where it is ancestral sampling or DDIM. The network is evaluated where
    the state is (not at the time the step goes to, which biases the result). From x = mu at t_max = 1
    the first SDE step draws the state, the ODE stays a regressor of the data.
    """

    def __init__(
        self,
        steps: int = 20,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        stochastic: bool = True,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, float(stochastic), close)
