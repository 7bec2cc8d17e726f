"""Singing from aligned scores: what goes into `generate` and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from voicediff.diffusion.guidance import Known
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import Noise
from voicediff.diffusion.samplers import Callback, Sampler
from voicediff.networks.conditions import Conditions
from voicediff.tasks.svs.parts import Normalization


@dataclass
class Song:
    """Generated batch: natural-log mel (B, F, T), F0 in Hz (B, T), mask (B, T)."""

    mel: Tensor
    f0: Tensor
    mask: Tensor


@dataclass
class Kept:
    """Frames that are given: natural-log mel (B, F, T), and a bool mask `where` (B, T)."""

    mel: Tensor
    where: Tensor

    def to(self, device: torch.device | str) -> Kept:
        return Kept(self.mel.to(device), self.where.to(device))


@dataclass(frozen=True)
class Sampling:
    """How mels are sampled around mu; the arguments of `Diffusion.sample`.

    guidance: scale by condition. shallow: t at which sampling starts, None for t_max.
    """

    sampler: Sampler
    noise: Noise
    noise_scale: float
    guidance: Mapping[str, float]
    shallow: float | None
    callback: Callback | None = None

    def mel(
        self, diffusion: Diffusion, mu: Tensor, cond: Conditions, mask: Tensor, known: Known | None
    ) -> Tensor:
        """Normalised mels (B, F, T) for mu (B, F, T)."""
        mu = mu[:, None]
        sampled = diffusion.sample(
            self.sampler,
            mu,
            cond,
            mask,
            self.noise,
            t_start=self.shallow,
            noise_scale=self.noise_scale,
            callback=self.callback,
            guidance=diffusion.guidance_terms(self.guidance, mu, cond),
            known=known,
        )
        return sampled[:, 0]


def known_region(kept: Kept | None, normalize: Normalization) -> Known | None:
    """The given frames in the units of the model, for inpainting."""
    if kept is None:
        return None
    return Known(normalize(kept.mel)[:, None], kept.where[:, None, None])


def with_known(mu: Tensor, known: Known | None) -> Tensor:
    """mu (B, F, T) with the known frames in their places."""
    return mu if known is None else torch.where(known.where[:, 0], known.x0[:, 0], mu)
