"""The networks of singing synthesis, built from their sections of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.data.singing.dataset import PITCHES
from voicediff.data.singing.features import Statistics
from voicediff.diffusion.model import Diffusion
from voicediff.encoders.contour import PitchContour
from voicediff.encoders.score import ScoreEncoder
from voicediff.errors import ConfigError
from voicediff.networks.conditioning import Sizes
from voicediff.registry import Spec, build

DecoderCondition = Literal["states", "text", "pitch", "harmonics"]


@dataclass
class FrameLayers:
    """Options of the convolutions between expanded encoder states and mu, see `ScoreEncoder`."""

    channels: int = 256
    layers: int = 4
    kernel: int = 5
    dropout: float = 0.1
    expansion: Literal["after", "before"] = "after"
    places: bool = True
    harmonics: bool = False


@dataclass
class ContourLayers:
    """Options of the pitch-contour head, see `PitchContour`; `weight` scales its loss."""

    channels: int = 96
    layers: int = 3
    dropout: float = 0.1
    weight: float = 1.0


@dataclass(frozen=True)
class Normalization:
    """Affine map between natural-log mel and the units of the model; mean (F, 1), std scalar."""

    mean: Tensor
    std: Tensor

    def __call__(self, mel: Tensor) -> Tensor:
        return (mel - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean


def normalization_of(
    kind: str, statistics: Statistics, mel_range: tuple[float, float], n_mels: int
) -> Normalization:
    """`none`, `bins` (mean per bin, one standard deviation) or `range` (`mel_range` to -1 ... 1)."""
    mean, std = torch.zeros(n_mels), torch.ones(())
    if kind == "bins":
        mean, std = torch.tensor(statistics.mel_mean), torch.tensor(statistics.mel_std)
    elif kind == "range":
        low, high = mel_range
        mean, std = mean + (low + high) / 2, std * (high - low) / 2
    return Normalization(mean[:, None].float(), std.float())


def score_encoder_of(
    encoders: dict[str, Spec], frames: FrameLayers, symbols: int, n_mels: int
) -> ScoreEncoder:
    """Text and pitch encoders and the convolutions to mu. ConfigError for other encoder names."""
    if set(encoders) != {"text", "pitch"}:
        raise ConfigError(
            f"task.encoders: must be exactly `text` and `pitch`, has {list(encoders)}"
        )
    return ScoreEncoder(
        build("encoder", encoders["text"], symbols=symbols),
        build("encoder", encoders["pitch"], symbols=2 * PITCHES),
        n_mels,
        frames.channels,
        frames.layers,
        frames.kernel,
        frames.dropout,
        frames.expansion,
        frames.places,
        frames.harmonics,
    )


def contour_of(options: ContourLayers | None, dim: int) -> PitchContour | None:
    """The pitch-contour head on encoder states of `dim` channels, or None."""
    if options is None:
        return None
    return PitchContour(dim, options.channels, options.layers, options.dropout)


def condition_sizes(names: Sequence[DecoderCondition], prior: ScoreEncoder) -> Sizes:
    """Kind and width of each decoder condition."""
    sizes: Sizes = {
        "states": ("frames", prior.dim),
        "text": ("frames", prior.text.dim),
        "pitch": ("frames", prior.pitch.dim),
        "harmonics": ("maps", 1),
    }
    return {name: sizes[name] for name in names}


def diffusion_of(
    decoder: Spec, sde: Spec, objective: Spec, options: dict[str, Any], mel: MelSpec, sizes: Sizes
) -> Diffusion:
    """The diffusion part. ConfigError if `drop` names a condition that the decoder does not have."""
    unknown = set(options.get("drop", {})) - {*sizes, "mu"}
    if unknown:
        raise ConfigError(
            f"task.diffusion.drop: not a condition of the decoder: {', '.join(sorted(unknown))}; "
            f"choices: {', '.join([*sizes, 'mu'])}"
        )
    network = build("decoder", decoder, channels_in=1, bins=mel.n_mels, conditions=sizes)
    return Diffusion(network, build("sde", sde), build("objective", objective), **options)
