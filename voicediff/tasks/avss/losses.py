"""What the predictor of separation learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from voicediff.networks.losses import level_error, multi_resolution_stft, si_sdr


@dataclass
class LossWeights:
    """What the predictor learns from; weights of the terms.

    Attributes:
        si_sdr: negative scale-invariant SDR of the sound, in dB, up to `ceiling` dB.
        level: dB between the sound and the gain at which it is nearest to the voice. The generator
            starts from there, and SI-SDR does not know about levels.
        stft: multi-resolution STFT distance of the sound.
        spectrum: squared error of the compressed spectrum times 1000 (the slides' "MSE").
        envelope: squared error of the speech's envelope as the lips alone tell it; keeps the lip
            encoder to the point. Also the label-free warm-up.
        degradation_penalty: on top of all that, each dB by which a voice is worse than the mixture.
        generator: the diffusion loss in the joint target (the predictor's being 1).
        estimate: negative SI-SDR in dB of what the generator thinks of x_t, beside its own loss:
            squared errors of a spectrum alone shrink what is not certain, and that costs decibels.
        estimate_stft: multi-resolution STFT distance of the same, for what SI-SDR hardly hears.
        no_video_target: what a voice whose video shows nothing should be: the `source`, or the `mixture`.
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


def sound_terms(
    weights: LossWeights,
    wav: Tensor,
    target: Tensor,
    source: Tensor,
    mixture: Tensor,
    samples: Tensor,
) -> dict[str, Tensor]:
    """The terms that are heard, by the name of their weight, each (B,); those without weight are left out.

    wav, target, source, mixture (B, N), samples (B,): the estimate, what it is asked to be, the voice
    (another where nobody can know it), and what they were mixed to.
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


def heard_terms(
    weights: LossWeights, wav: Tensor, source: Tensor, samples: Tensor
) -> dict[str, Tensor]:
    """The generator's terms beside its own loss, by the name of their weight, each (B,); wav (B, N) is
    what it thinks of x_t, the rest as in `sound_terms`.
    """
    terms = {}
    if weights.estimate:
        terms["estimate"] = -si_sdr(wav, source, samples, weights.ceiling)
    if weights.estimate_stft:
        terms["estimate_stft"] = multi_resolution_stft(wav, source, samples)
    return terms
