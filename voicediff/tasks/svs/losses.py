"""Losses of singing synthesis: of mu and the pitch contour, and of the diffusion part."""

from __future__ import annotations

from torch import Tensor

from voicediff.data.singing.dataset import ScoreInputs
from voicediff.diffusion.model import DiffusionLosses
from voicediff.encoders.contour import contour_losses
from voicediff.tasks.base import Losses


def prior_loss(x0: Tensor, mu: Tensor, mask: Tensor) -> Losses:
    """Squared error of mu per bin, x0 and mu (B, F, T): Grad-TTS' prior loss up to a constant."""
    squared = ((mu - x0).square().mean(1) * mask).sum()
    return Losses(squared, {"prior": squared.detach()})


def contour_loss(
    predicted: tuple[Tensor, Tensor], score: ScoreInputs, f0: Tensor, weight: float
) -> Losses:
    """Weighted loss of the pitch contour's (deviation, voicing), each (B, T), against F0 in Hz."""
    pitch, voicing = contour_losses(*predicted, score.melody, f0, score.mask)
    terms = {"pitch": pitch.detach(), "voicing": voicing.detach()}
    return Losses(weight * (pitch + voicing), terms)


def diffusion_loss(found: DiffusionLosses) -> Losses:
    return Losses(found.loss, {"diffusion": found.loss.detach()}, found.t, found.by_item.detach())


def added(first: Losses, second: Losses) -> Losses:
    """The sum of two losses with the terms of both; diffusion times are those of the first."""
    terms = first.terms | second.terms
    return Losses(first.loss + second.loss, terms, first.t, first.by_item)
