"""Distributions of training times t."""

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
        t_max_share: share of samples at t_max itself, where sampling starts; a few percent improve
            processes that start at mu (`bridge`, `flow` from mu).
    """

    def __init__(self, t_max_share: float = 0.0):
        self.t_max_share = t_max_share

    def sample(self, sde: SDE, noise: Noise, like: Tensor) -> Tensor:
        """One time per item (B,), from the item's own noise; like (B, ...) gives batch and device."""
        z = noise(torch.zeros(len(like), 2))  # on the CPU: not every device has ndtr
        t = self.from_normal(sde, z[:, 0]).clamp(sde.t_min, sde.t_max)
        ends = torch.special.ndtr(z[:, 1]) < self.t_max_share
        return torch.where(ends, sde.t_max, t).to(like.device)

    @abstractmethod
    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        """Times (B,) from standard normal z (B,)."""


@register("times", "uniform")
class UniformTimes(Times):
    """Uniform in t: the default of most papers (DDPM, Grad-TTS, SGMSE)."""

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return sde.t_min + torch.special.ndtr(z) * (sde.t_max - sde.t_min)


@register("times", "logit_normal")
class LogitNormalTimes(Times):
    """Logit-normal: t = sigmoid(mean + std z), more samples at medium t, for `flow` (Esser et al. 2024)."""

    def __init__(self, mean: float = 0.0, std: float = 1.0, t_max_share: float = 0.0):
        super().__init__(t_max_share)
        self.mean, self.std = mean, std

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.std * z)


@register("times", "log_snr")
class LogSNRTimes(Times):
    """Uniform in lambda = log(a / sigma): equally many samples in each step of the log_snr grid."""

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        ends = torch.tensor([sde.t_max, sde.t_min], dtype=torch.float64)
        start, stop = sde.log_snr(ends).clamp(min=-7.0)
        return sde.time_of(torch.lerp(start, stop, torch.special.ndtr(z.double()))).to(z.dtype)


@register("times", "log_normal")
class LogNormalTimes(Times):
    """Log-normal sigma / a: the training distribution of EDM (Karras et al. 2022, Table 1)."""

    def __init__(self, mean: float = -1.2, std: float = 1.2, t_max_share: float = 0.0):
        super().__init__(t_max_share)
        self.mean, self.std = mean, std

    def from_normal(self, sde: SDE, z: Tensor) -> Tensor:
        return sde.time_of(-(self.mean + self.std * z.double())).to(z.dtype)
