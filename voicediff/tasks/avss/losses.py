"""Training losses of separation: predictor, lip encoder and generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from voicediff.diffusion.model import DiffusionLosses
from voicediff.networks.losses import level_error, multi_resolution_stft, si_sdr
from voicediff.tasks.base import Losses


@dataclass
class LossWeights:
    """Weights of the loss terms.

    Attributes:
        si_sdr: negative scale-invariant SDR in dB, limited to `ceiling` dB.
        level: absolute level error in dB, which SI-SDR ignores; the generator starts from this level.
        stft: multi-resolution STFT distance.
        spectrum: squared error of the compressed spectrum, times 1000.
        envelope: squared error of the speech envelope that is predicted from the lips alone; also
            the loss of the warm-up.
        degradation_penalty: dB by which a track is worse than the mixture, 0 where it is better.
        generator: the diffusion loss in the target `joint`, where the predictor's weight is 1.
        estimate: negative SI-SDR in dB of the generator's data estimate at x_t, in addition to the
            diffusion loss: a squared error alone attenuates uncertain parts of the spectrum.
        estimate_stft: multi-resolution STFT distance of the same estimate.
        no_video_target: target of a speaker without any usable video: the `source` or the `mixture`.
    """

    si_sdr: float = 1.0
    ceiling: float = 30.0
    level: float = 0.0
    stft: float = 0.0
    spectrum: float = 0.0
    envelope: float = 0.2
    degradation_penalty: float = 0.0
    generator: float = 1.0
    estimate: float = 0.0
    estimate_stft: float = 0.0
    no_video_target: Literal["source", "mixture"] = "mixture"


def waveform_terms(
    weights: LossWeights,
    wav: Tensor,
    target: Tensor,
    source: Tensor,
    mixture: Tensor,
    samples: Tensor,
) -> dict[str, Tensor]:
    """Terms of the predictor's waveforms by the name of their weight, each (B,); without those of weight 0.

    Args:
        wav: (B, N) estimates. target: (B, N) their training targets.
        source: (B, N) the true sources, which differ from `target` where the video is missing.
        mixture: (B, N). samples: (B,) valid samples.
    """
    terms = {"si_sdr": -si_sdr(wav, target, samples, weights.ceiling)}
    if weights.degradation_penalty:
        before = si_sdr(mixture, source, samples, weights.ceiling)
        after = si_sdr(wav, source, samples, weights.ceiling)
        terms["degradation_penalty"] = (before - after).relu()
    if weights.level:
        terms["level"] = level_error(wav, target, samples)
    if weights.stft:
        terms["stft"] = multi_resolution_stft(wav, target, samples)
    return terms


def estimate_terms(
    weights: LossWeights, wav: Tensor, source: Tensor, samples: Tensor
) -> dict[str, Tensor]:
    """Terms of the generator's data estimate by the name of their weight, each (B,).

    wav: (B, N) waveforms of the estimate; the others as in `waveform_terms`.
    """
    terms = {}
    if weights.estimate:
        terms["estimate"] = -si_sdr(wav, source, samples, weights.ceiling)
    if weights.estimate_stft:
        terms["estimate_stft"] = multi_resolution_stft(wav, source, samples)
    return terms


def add_terms(
    losses: Losses, weights: LossWeights, terms: Mapping[str, Tensor], frames: Tensor
) -> Losses:
    """Add terms (B,) to the losses, each item weighted by its number of frames (B,)."""
    for name, values in terms.items():
        total = (values * frames).sum()
        losses.terms[name] = total.detach()
        losses.loss = losses.loss + getattr(weights, name) * total
    return losses


def envelope_losses(predicted: Tensor, measured: Tensor, valid: Tensor) -> Losses:
    """Squared error of envelopes (B, T, bands), over frames where `valid` (B, T) is 1."""
    error = ((predicted - measured).square().mean(-1) * valid).sum()
    return Losses(error, {"envelope": error.detach()})


def diffusion_losses(found: DiffusionLosses) -> Losses:
    """The losses of the diffusion part as those of a task."""
    terms = {"diffusion": found.loss.detach()}
    return Losses(found.loss, terms, found.t, found.by_item.detach())


def joint_losses(predictor: Losses, generator: Losses, weight: float) -> Losses:
    """Predictor plus `weight` times generator; times and losses by item are the generator's."""
    loss = predictor.loss + weight * generator.loss
    return Losses(loss, predictor.terms | generator.terms, generator.t, generator.by_item)


def unknown_speakers(no_video: Tensor, others_dropped: Tensor | None, uses_others: bool) -> Tensor:
    """Speakers (B S,) that no video identifies, neither their own nor, by exclusion, all others'.

    Args:
        no_video: (B, S) bool, speakers without a usable video.
        others_dropped: (B S,) bool, speakers without the condition `others`.
        uses_others: whether the predictor has the condition `others`.
    """
    if not uses_others or no_video.shape[1] < 2:
        return no_video.flatten()
    only_one = no_video.sum(1, keepdim=True) - no_video.int() == 0
    unknown = (no_video & ~only_one).flatten()
    if others_dropped is None:
        return unknown
    return unknown | (no_video.flatten() & others_dropped)
