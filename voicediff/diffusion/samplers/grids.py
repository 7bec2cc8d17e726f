"""Time grids: the times between t_start and t_end at which a sampler evaluates the network."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from voicediff.diffusion.sdes import SDE
from voicediff.registry import register

#: smallest lambda of a grid, used where lambda is -inf (a = 0): a / sigma = 1e-3
LOWEST = -7.0


class Grid(ABC):
    """Times (steps + 1,) in float64, decreasing from t_start to t_end; steps 0 gives t_start only."""

    def __call__(self, sde: SDE, steps: int, t_start: float, t_end: float) -> Tensor:
        if steps == 0:
            return torch.tensor([t_start], dtype=torch.float64)
        ends = torch.tensor([t_start, t_end], dtype=torch.float64)
        share = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        times = self.between(sde, ends, share)
        times[0], times[-1] = ends
        return times

    @abstractmethod
    def between(self, sde: SDE, ends: Tensor, share: Tensor) -> Tensor:
        """Times at the fractions `share` (0 to 1) between ends[0] and ends[1]."""


@register("grid", "uniform")
class UniformGrid(Grid):
    """Equal steps of t: used by Grad-TTS and SGMSE; inaccurate for few steps of a VP process."""

    def between(self, sde: SDE, ends: Tensor, share: Tensor) -> Tensor:
        return torch.lerp(ends[0], ends[1], share)


@register("grid", "quadratic")
class QuadraticGrid(Grid):
    """Equal steps of sqrt(t): finer near the data; recommended with `heun`."""

    def between(self, sde: SDE, ends: Tensor, share: Tensor) -> Tensor:
        return torch.lerp(ends[0].sqrt(), ends[1].sqrt(), share).square()


@register("grid", "log_snr")
class LogSNRGrid(Grid):
    """Equal steps of lambda = log(a / sigma): for exponential integrators (Lu et al. 2022)."""

    def between(self, sde: SDE, ends: Tensor, share: Tensor) -> Tensor:
        start, stop = _log_snr(sde, ends)
        return sde.time_of(torch.lerp(start, stop, share))


@register("grid", "karras")
class KarrasGrid(Grid):
    """Equal steps of (sigma / a)^(1 / rho): finer near the data (Karras et al. 2022, Eq. 5).

    rho: 7 in the paper; larger values come closer to `log_snr`.

    >>> from voicediff.diffusion.sdes import VE
    >>> sde = VE(sigma_min=0.01, sigma_max=10.0)
    >>> [round(sigma, 2) for sigma in sde.sigma(KarrasGrid()(sde, 4, 1.0, 0.01)).tolist()]
    [10.0, 2.74, 0.56, 0.07, 0.0]
    """

    def __init__(self, rho: float = 7.0):
        self.rho = rho

    def between(self, sde: SDE, ends: Tensor, share: Tensor) -> Tensor:
        start, stop = (-_log_snr(sde, ends) / self.rho).exp()
        return sde.time_of(-self.rho * torch.lerp(start, stop, share).log())


def _log_snr(sde: SDE, ends: Tensor) -> Tensor:
    return sde.log_snr(ends).clamp(min=LOWEST)
