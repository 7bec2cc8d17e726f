"""Wrappers of `estimate`: guidance, inpainting and long inputs, for every process and sampler.

A sampler evaluates `estimate(x, t) -> Estimate`. Each wrapper takes one or several such functions
and returns one for which x_t = a data + b mu + sigma noise still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voicediff.diffusion.objectives import Estimate, from_data
from voicediff.diffusion.samplers import EstimateAt
from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions


@dataclass
class GuidanceTerm:
    """One term of classifier-free guidance: the conditions with some dropped, and a scale.

    scale: estimate = full + scale (full - reduced), summed over terms; 0 is no guidance.
    cond: the reduced conditions, e.g. `cond.without(["lips"])`.
    mu: the decoder's input mu (B, C, F, T), where it is dropped too; the process keeps its own mu.
        None: unchanged.
    """

    scale: float
    cond: Conditions
    mu: Tensor | None = None


@dataclass
class Known:
    """A known region for inpainting: data x0 (B, C, F, T), bool mask `where` that broadcasts to it."""

    x0: Tensor
    where: Tensor


@dataclass
class Windows:
    """Split of long inputs into windows of `length` frames that overlap by `overlap` frames.

    >>> Windows(length=100, overlap=20).over(250)
    [(0, 100), (80, 180), (150, 250)]
    """

    length: int
    overlap: int

    def __post_init__(self):
        if not 0 <= self.overlap < self.length:
            raise ConfigError(
                f"windows: overlap must be less than length, found {self.overlap} and {self.length}"
            )

    def over(self, frames: int) -> list[tuple[int, int]]:
        """[start, stop) of windows of equal length that cover the frames; the last ends with them."""
        if frames <= self.length:
            return [(0, frames)]
        starts = list(range(0, frames - self.length, self.length - self.overlap))
        return [(s, s + self.length) for s in [*starts, frames - self.length]]

    def fade(self, start: int, stop: int, frames: int) -> Tensor:
        """Cross-fade weights (T,) of a window: linear over the overlaps, 1 at both ends of x."""
        size = stop - start
        weight = torch.ones(size)
        ramp = (torch.arange(self.overlap) + 1) / (self.overlap + 1)
        if start > 0:
            weight[: self.overlap] *= ramp
        if stop < frames:
            weight[size - self.overlap :] *= ramp.flip(0)
        return weight


def guided(full: EstimateAt, reduced: Sequence[tuple[float, EstimateAt]]) -> EstimateAt:
    """Classifier-free guidance, one scale per reduced estimate (Ho and Salimans 2022, Eq. 6).

    Every term costs one further network evaluation per step.
    """
    reduced = [(scale, estimate) for scale, estimate in reduced if scale]

    def estimate(x: Tensor, t: Tensor) -> Estimate:
        rich = full(x, t)
        data, noise = rich.data, rich.noise
        for scale, other in reduced:
            poor = other(x, t)
            data = data + scale * (rich.data - poor.data)
            noise = noise + scale * (rich.noise - poor.noise)
        return Estimate(data, noise)

    return estimate


def inpainted(estimate: EstimateAt, sde: SDE, mu: Tensor, known: Known) -> EstimateAt:
    """Inpainting: the data estimate replaced by the known data, with the noise that matches it."""

    def replaced(x: Tensor, t: Tensor) -> Estimate:
        data = torch.where(known.where, known.x0, estimate(x, t).data)
        return from_data(data, sde, x, mu, t)

    return replaced


def windowed(
    window: Callable[[int, int], EstimateAt], sde: SDE, mu: Tensor, windows: Windows
) -> EstimateAt:
    """Data estimated in overlapping windows and cross-faded; x and its noise are not split.

    window(start, stop) is the estimate of frames [start, stop). The decoder processes one window at
    a time, so its memory does not grow with the length of x.
    """
    frames = mu.shape[-1]
    spans = windows.over(frames)
    parts = [(a, b, windows.fade(a, b, frames), window(a, b)) for a, b in spans]
    total = torch.zeros(frames)
    for start, stop, weight, _ in parts:
        total[start:stop] += weight

    def estimate(x: Tensor, t: Tensor) -> Estimate:
        data = torch.zeros_like(x)
        for start, stop, weight, part in parts:
            share = (weight / total[start:stop]).to(x)
            data[..., start:stop] += share * part(x[..., start:stop], t).data
        return from_data(data, sde, x, mu, t)

    return estimate
