"""Shared by one-dimensional decoders: bins are channels, and convolutions run over time only."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.networks.conditioning import Layout, SinusoidalTime, Sizes
from voicediff.networks.conditions import Conditions


@dataclass
class PreparedSequence(Prepared):
    """Prepared inputs besides x and t.

    beside: (B, T, D), the part of mu and maps in the input projection, or None.
    conditioners: (B, T, .) per layer (or one), the frames' contribution. vector: (B, D) or None.
    mask: (B, T, 1), None when every frame is valid. output_mask: (B, 1, 1, T).
    """

    beside: Tensor | None
    conditioners: list[Tensor | None]
    vector: Tensor | None
    mask: Tensor | None
    output_mask: Tensor


class SequenceDecoder(Decoder):
    """A network on (B, T, C F) with DiffSinger's embedding of the step.

    x, mu and maps share one input projection, computed in two parts because only x changes over the
    steps. Subclasses define `conditioned` and `layers`; `activation` is that of the time embedding.
    """

    def __init__(
        self,
        channels_in: int,
        bins: int,
        conditions: Sizes | None,
        name: str,
        channels: int,
        use_mu: bool,
        time_scale: float,
        time_shift: float,
        output_scale: float,
        reversed_time: bool,
        activation: type[nn.Module],
    ):
        super().__init__()
        self.layout = Layout(conditions, ("maps", "frames", "vector"), f"decoder {name}")
        self.shape, self.use_mu = (channels_in, bins), use_mu
        self.output_scale, self.reversed_time = output_scale, reversed_time
        self.enter = nn.Linear(channels_in * bins, channels)
        beside = (channels_in if use_mu else 0) + self.layout.total("maps")
        self.beside = nn.Linear(beside * bins, channels, bias=False) if beside else None
        self.time = nn.Sequential(
            SinusoidalTime(channels, time_scale, time_shift),
            nn.Linear(channels, 4 * channels),
            activation(),
            nn.Linear(4 * channels, channels),
        )
        vector = self.layout.total("vector")
        self.vector = nn.Linear(vector, channels) if vector else None
        self.leave = nn.Linear(channels, channels_in * bins)
        nn.init.kaiming_normal_(self.enter.weight)
        nn.init.zeros_(self.leave.weight)

    @abstractmethod
    def conditioned(self, frames: Tensor | None) -> list[Tensor | None]:
        """Projections of the frame conditions (B, T, D) for each layer, independent of x."""

    @abstractmethod
    def layers(
        self,
        h: Tensor,
        time: Tensor,
        conditioners: list[Tensor | None],
        mask: Tensor | None,
    ) -> Tensor:
        """h (B, T, D), time (B, D) -> (B, T, D)."""

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedSequence:
        planes = self.layout.planes(mu if self.use_mu else None, cond)
        vector = self.layout.vector(cond)
        return PreparedSequence(
            beside=self.beside(flat(torch.cat(planes, 1))) if planes else None,
            conditioners=self.conditioned(self.layout.frames(cond)),
            vector=None if vector is None else self.vector(vector),
            mask=None if bool(mask.all()) else mask[..., None].to(mu.dtype),
            output_mask=mask[:, None, None].to(mu.dtype),
        )

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedSequence) -> Tensor:
        time = self.time(1 - time_in if self.reversed_time else time_in)
        if prepared.vector is not None:
            time = time + prepared.vector
        h = self.enter(flat(x_in))
        if prepared.beside is not None:
            h = h + prepared.beside
        h = self.leave(self.layers(h, time, prepared.conditioners, prepared.mask))
        x = h.mT.unflatten(1, self.shape)
        return self.output_scale * x * prepared.output_mask


def flat(x: Tensor) -> Tensor:
    """(B, C, F, T) -> (B, T, C F)."""
    return x.flatten(1, 2).mT


def over_time(conv: nn.Conv1d, h: Tensor, mask: Tensor | None) -> Tensor:
    """`conv` over the frames of h (B, T, D), with padded frames set to zero."""
    h = h if mask is None else h * mask
    return conv(h.mT).mT
