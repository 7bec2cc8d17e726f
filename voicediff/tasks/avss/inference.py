"""Separation of a batch: results, noise seeds, guidance, and tracks that are ambiguous."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.diffusion.guidance import GuidanceTerm
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions


@dataclass
class Separated:
    """Result of `separate`.

    Attributes:
        tracks: (B, S, N) at the sampling rate of the mixture.
        predictor_tracks: (B, S, N) of the predictor alone; equal to `tracks` without a generator.
        nfe: number of function evaluations of the decoder per track.
        lags: (B, S) frames by which the videos were late; they were shifted by as much.
    """

    tracks: Tensor
    predictor_tracks: Tensor
    nfe: int
    lags: Tensor | None = None


class EvaluationCounter:
    """Context manager that counts the forward passes of a module."""

    def __init__(self, module: nn.Module):
        self.module, self.count = module, 0

    def __enter__(self) -> EvaluationCounter:
        self.hook = self.module.register_forward_pre_hook(self._add)
        return self

    def __exit__(self, *error: object) -> None:
        self.hook.remove()

    def _add(self, module: nn.Module, inputs: tuple) -> None:
        self.count += 1


def speaker_seeds(seeds: list[int], voices: int) -> list[int]:
    """Noise seeds of all speakers, speakers of a mixture side by side."""
    return [item_seed(seed, "voice", number) for seed in seeds for number in range(voices)]


def guidance_terms(
    cond: Conditions, mean: Tensor, scales: Mapping[str, float]
) -> list[GuidanceTerm]:
    """A guidance term per name: the decoder without that condition (`mu`: without the mean).

    ConfigError for a condition that the decoder does not have.
    """
    unknown = set(scales) - {"mu", *cond.names()}
    if unknown:
        raise ConfigError(
            f"guidance: the decoder has no condition {sorted(unknown)[0]!r}; "
            f"choices: mu, {', '.join(cond.names())}"
        )
    return [
        GuidanceTerm(scale, cond.without([name]), torch.zeros_like(mean) if name == "mu" else None)
        for name, scale in scales.items()
    ]


def blend_ambiguous(tracks: Tensor, mixture: Tensor, threshold: float) -> Tensor:
    """Blend tracks (B, S, N) with the mixture (B, N) where two of them are similar.

    Let r be the energy that a track shares with its most similar track, relative to the louder one.
    The track keeps a share min(1, (1 - r) / threshold) of itself; the rest is the mixture without
    the other tracks, i.e. both similar ones. Two tracks that may belong to either face are wrong as
    often as right. A quiet copy of a loud track changes neither. A threshold of 0 keeps all tracks.
    """
    if not threshold or tracks.shape[1] < 2:
        return tracks
    shared = tracks @ tracks.mT
    energy = shared.diagonal(dim1=1, dim2=2)
    louder = torch.maximum(energy[:, :, None], energy[:, None]).clamp(min=1e-12)
    similarity = (shared - energy.diag_embed()).clamp(min=0) / louder
    highest, nearest = similarity.max(-1, keepdim=True)
    kept = ((1 - highest) / threshold).clamp(0, 1)
    both = tracks + tracks.gather(1, nearest.expand_as(tracks))
    return kept * tracks + (1 - kept) * (mixture[:, None] - tracks.sum(1, keepdim=True) + both)
