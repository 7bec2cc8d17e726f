"""From which times training draws: where on the path the decoder learns."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from voicediff.diffusion.noise import Noise
from voicediff.diffusion.sdes import SDE
from voicediff.registry import register


class Times(ABC):
    """A distribution of training times on [t_min, t_max].

    Args:
        at_end: share of draws at t_max itself. Sampling starts there: paths that begin at mu
            (`bridge`, `flow` from mu) gain from a few percent.
    """

    def __init__(self, at_end: float = 0.0):
        self.at_end = at_end

    def draw(self, sde: SDE, noise: Noise, like: Tensor) -> Tensor:
        """One time per item (B,), from the item's own noise; like (B, ...) says batch and device."""
        z = noise(torch.zeros(len(like), 2))  # few numbers: on the CPU every function is at hand
        t = self.from_normal(sde, z[:, 0]).clamp(sde.t_min, sde.t_max)
        ends = torch.special.ndtr(z[:, 1]) < self.at_end
        return torch.where(ends, sde.t_max, t).to(like.device)

    @abstractmethod
    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        """Times (B,) from standard normal z (B,)."""


@register("times", "uniform")
class UniformTimes(Times):
    """Uniform in t: the papers' choice, right for most."""

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return sde.t_min + torch.special.ndtr(z) * (sde.t_max - sde.t_min)


@register("times", "logit_normal")
class LogitNormalTimes(Times):
    """t = sigmoid(mean + std z): more draws in the middle (Esser et al. 2024), good with `flow`."""

    def __init__(self, mean: float = 0.0, std: float = 1.0, at_end: float = 0.0):
        super().__init__(at_end)
        self.mean, self.std = mean, std

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.std * z)


@register("times", "log_snr")
class LogSNRTimes(Times):
    """Uniform in lambda = log(a / sigma) between the ends: as many draws per step of a log-SNR grid."""

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        ends = torch.tensor([sde.t_max, sde.t_min], dtype=torch.float64)
        start, stop = sde.log_snr(ends).clamp(min=-7.0)
        return sde.time_of(torch.lerp(start, stop, torch.special.ndtr(z.double()))).to(z.dtype)


@register("times", "log_normal")
class LogNormalTimes(Times):
    """log(sigma / a) normal: EDM's choice (Karras et al. 2022, Table 1)."""

    def __init__(self, mean: float = -1.2, std: float = 1.2, at_end: float = 0.0):
        super().__init__(at_end)
        self.mean, self.std = mean, std

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return sde.time_of(-(self.mean + self.std * z.double())).to(z.dtype)
