"""NCSN++ with input planes, conditions, and padding to the sizes it requires."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.networks.conditioning import Layout, Sizes, ceiling, fit, pooled_mask
from voicediff.networks.conditions import Conditions
from voicediff.networks.context import Context, Shape, TokenKeys
from voicediff.networks.masked import masked
from voicediff.networks.ncsnpp import NCSNpp


@dataclass
class PreparedPlanes:
    """planes (B, P, F', T') beside x; masks per level; frame biases per block; keys of tokens."""

    planes: Tensor
    masks: list[Tensor | None]
    output_mask: Tensor
    biases: list[Tensor | None]
    keys: list[list[list[TokenKeys]]]


class SpectralNCSNpp(nn.Module):
    """NCSN++ on [first planes, maps], of any length, with frame and token conditions.

    `own` is the number of planes of the caller, which come before the maps.
    """

    def __init__(
        self,
        own: int,
        bins: int,
        shape: Shape,
        conditions: Sizes | None,
        name: str,
        embedding: int = 0,
        centred: bool = True,
        padded_statistics: bool = False,
        channels_last: bool = True,
    ):
        super().__init__()
        self.layout = Layout(conditions, ("maps", "frames", "tokens", "vector"), name)
        self.multiple, self.levels = shape.multiple, len(shape.multipliers)
        self.centred, self.padded_statistics = centred, padded_statistics
        self.channels_last = channels_last
        self.planes = own + self.layout.total("maps")
        self.body = NCSNpp(
            self.planes,
            ceiling(bins, self.multiple),
            shape,
            embedding,
            self.layout.total("frames"),
            self.layout.sizes["tokens"],
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def prepare(self, own: list[Tensor], cond: Conditions, mask: Tensor) -> PreparedPlanes:
        """own: planes (B, C, F, T) that come before the maps; mask bool (B, T)."""
        frames = ceiling(mask.shape[1], self.multiple)
        full = F.pad(mask, (0, frames - mask.shape[1]))
        planes = own + self.layout.planes(None, cond)
        output_mask = mask[:, None, None].float()
        joined = torch.cat(planes, 1) * output_mask if planes else output_mask[:, :0]
        keys = []
        if self.layout.sizes["tokens"]:
            tokens, count = self.layout.tokens(cond), full.sum(-1)
            keys = [t.keys(tokens, count / 2**level) for level, t in self.body.transformers()]
        return PreparedPlanes(
            planes=fit(joined, ceiling(joined.shape[-2], self.multiple), frames),
            masks=self._masks(full),
            output_mask=output_mask,
            biases=self._biases(cond, mask, frames),
            keys=keys,
        )

    def forward(self, x: Tensor, time: Tensor | None, prepared: PreparedPlanes) -> Tensor:
        """x (B, C, F, T) -> (B, planes, F, T)."""
        frames = ceiling(x.shape[-1], self.multiple)
        bins = ceiling(x.shape[-2], self.multiple)
        planes = fit(x * prepared.output_mask, bins, frames)
        if prepared.planes.shape[1]:
            planes = torch.cat([planes, prepared.planes], 1)
        if not self.centred:
            planes = 2 * planes - 1
            planes = masked(planes, prepared.masks[0])
        if self.channels_last:
            planes = planes.contiguous(memory_format=torch.channels_last)
        context = Context(time, prepared.masks, iter(prepared.biases), iter(prepared.keys))
        return self.body(planes, context)[..., : x.shape[-2], : x.shape[-1]]

    def _masks(self, mask: Tensor) -> list[Tensor | None]:
        """The mask at each level; None if every frame is valid or `padded_statistics` is set."""
        if self.padded_statistics or bool(mask.all()):
            return [None] * self.levels
        levels = [pooled_mask(mask, 2**level) for level in range(self.levels)]
        return [level[:, None, None].float() for level in levels]

    def _biases(self, cond: Conditions, mask: Tensor, frames: int) -> list[Tensor | None]:
        states = self.layout.frames(cond)
        blocks = list(self.body.residual_blocks())
        if states is None:
            return [None] * len(blocks)
        states = F.pad(states * mask[..., None], (0, 0, 0, frames - mask.shape[1]))
        pooled = [F.avg_pool1d(states.mT, 2**i, 2**i).mT for i in range(self.levels)]
        return [rearrange(b.frames(pooled[level]), "b t c -> b c 1 t") for level, b in blocks]
