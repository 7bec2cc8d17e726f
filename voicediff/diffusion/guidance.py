"""Wrappers of `estimate`: guidance, known regions and long x, for every process and sampler.

A sampler asks `estimate(x, t) -> Estimate`. Each wrapper asks one or several such functions and
gives one back in which x_t = a data + b mu + sigma noise still holds.
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
class Guide:
    """What the decoder would be told with some names dropped, and how far to move away from it.

    scale: estimate = full + scale (full - poorer), summed over guides; 0 is no guidance.
    cond: the poorer conditions, e.g. `cond.without(["lips"])`.
    mu: the poorer mean shown to the decoder (B, C, F, T); the process keeps its own. None: the same.
    """

    scale: float
    cond: Conditions
    mu: Tensor | None = None


@dataclass
class Known:
    """A region that is given: data x0 (B, C, F, T), and a bool mask `where` that broadcasts to it."""

    x0: Tensor
    where: Tensor


@dataclass
class Windows:
    """Long x in windows of `length` frames that share `overlap` frames."""

    length: int
    overlap: int

    def __post_init__(self):
        if not 0 <= self.overlap < self.length:
            raise ConfigError(
                f"windows: overlap must be below length, found {self.overlap} and {self.length}"
            )

    def over(self, frames: int) -> list[tuple[int, int]]:
        """[start, stop) of equally long windows that cover the frames, the last one at the end."""
        if frames <= self.length:
            return [(0, frames)]
        starts = list(range(0, frames - self.length, self.length - self.overlap))
        return [(s, s + self.length) for s in [*starts, frames - self.length]]

    def fade(self, start: int, stop: int, frames: int) -> Tensor:
        """Weights (T,) of a window: rising and falling over the overlap, 1 at the ends of x."""
        size = stop - start
        weight = torch.ones(size)
        ramp = (torch.arange(self.overlap) + 1) / (self.overlap + 1)
        if start > 0:
            weight[: self.overlap] *= ramp
        if stop < frames:
            weight[size - self.overlap :] *= ramp.flip(0)
        return weight


def guided(full: EstimateAt, poorer: Sequence[tuple[float, EstimateAt]]) -> EstimateAt:
    """Classifier-free guidance with one scale per dropped set of names (Ho and Salimans 2022).

    Costs one call more per guide whose scale is not 0.
    """
    poorer = [(scale, estimate) for scale, estimate in poorer if scale]

    def estimate(x: Tensor, t: Tensor) -> Estimate:
        rich = full(x, t)
        data, noise = rich.data, rich.noise
        for scale, other in poorer:
            poor = other(x, t)
            data = data + scale * (rich.data - poor.data)
            noise = noise + scale * (rich.noise - poor.noise)
        return Estimate(data, noise)

    return estimate


def inpainted(estimate: EstimateAt, sde: SDE, mu: Tensor, known: Known) -> EstimateAt:
    """The data estimate replaced where it is known, and the noise that goes with it."""

    def replaced(x: Tensor, t: Tensor) -> Estimate:
        data = torch.where(known.where, known.x0, estimate(x, t).data)
        return from_data(data, sde, x, mu, t)

    return replaced


def windowed(
    window: Callable[[int, int], EstimateAt], sde: SDE, mu: Tensor, windows: Windows
) -> EstimateAt:
    """Data estimated in overlapping windows and cross-faded; x and its noise stay one piece.

    window(start, stop) is the estimate of frames [start, stop). The number of frames a decoder sees
    at once, and so its memory, does not grow with x.
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
