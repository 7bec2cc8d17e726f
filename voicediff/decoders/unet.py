"""Grad-TTS' U-Net on the time-frequency plane, with masked statistics, patches and conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.errors import ConfigError
from voicediff.networks.attention import LinearAttention
from voicediff.networks.conditioning import Layout, SinusoidalTime, Sizes, ceiling, fit, pooled_mask
from voicediff.networks.conditions import Conditions
from voicediff.networks.masked import MaskedGroupNorm, masked
from voicediff.networks.patches import fold, frequency_positions, unfold
from voicediff.registry import register


@dataclass
class PreparedUNet(Prepared):
    """planes (B, P, F', T') beside x; masks per level (B, 1, 1, T_l) or None; frame biases per block."""

    planes: Tensor
    masks: list[Tensor | None]
    output_mask: Tensor
    biases: list[Tensor | None]
    vector: Tensor | None


@register("decoder", "unet")
class UNet(Decoder):
    """Grad-TTS' U-Net with linear attention (Popov et al. 2021, section 3.3); for mel-spectrograms.

    The paper's network (7.6 M parameters) is

        decoder: {name: unet, channels: 64, multipliers: [1, 2, 4], normalised_query: false}

    and a small one for CPUs, about 1 M,

        decoder: {name: unet, channels: 32, blocks: 1, patch: [2, 2], frequency_planes: 4}

    Conditions: maps are input channels; frames are projected to `frame_planes` input channels and
    added in every block; vectors join the time embedding (`vector_as: map` makes them an input
    channel, as the paper's multi-speaker model does).

    patch: (bins, frames) folded into channels before the network, so that it runs at a lower rate.
    frequency_planes: learned input channels that encode the position on the frequency axis.
    normalised_query: softmax over the channels of q, without which the attention can grow unbounded.
    padded_statistics: include padded frames in norms and attention, as the published weights do.
    """

    def __init__(
        self,
        channels_in: int = 1,
        bins: int = 80,
        conditions: Sizes | None = None,
        channels: int = 64,
        multipliers: tuple[int, ...] = (1, 2, 4),
        blocks: int = 2,
        groups: int = 8,
        attention: bool = True,
        heads: int = 4,
        head_size: int = 32,
        patch: tuple[int, int] = (1, 1),
        use_mu: bool = True,
        frame_planes: int = 4,
        frequency_planes: int = 0,
        vector_as: Literal["time", "map"] = "time",
        time_scale: float = 1000.0,
        dropout: float = 0.0,
        normalised_query: bool = True,
        padded_statistics: bool = False,
        channels_last: bool = True,
    ):
        super().__init__()
        if channels % groups:
            raise ConfigError(f"unet: channels {channels} must be a multiple of groups {groups}")
        self.layout = Layout(conditions, ("maps", "frames", "vector"), "decoder unet")
        self.bins, self.patch, self.use_mu = bins, patch, use_mu
        self.padded_statistics, self.channels_last = padded_statistics, channels_last
        self.depth = len(multipliers)
        multiple = 2 ** (self.depth - 1)
        self.multiple = (multiple * patch[0], multiple * patch[1])
        self.full_bins = ceiling(bins, self.multiple[0])
        frames, folded = self.layout.total("frames"), patch[0] * patch[1]
        planes = channels_in * (2 if use_mu else 1)
        planes += self._add_inputs(frame_planes, frequency_planes, vector_as, channels)
        self.time = time_embedding(channels, time_scale)
        stages = StageBuilder(
            blocks, channels, groups, frames, dropout, attention, heads, head_size, normalised_query
        )
        self._add_levels(planes * folded, [channels * m for m in multipliers], stages)
        self.last = ConvNorm(channels, channels, groups)
        self.out = nn.Conv2d(channels, channels_in * folded, 1)
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def _add_inputs(
        self, frame_planes: int, frequency_planes: int, vector_as: str, channels: int
    ) -> int:
        """The projections of conditions; returns the number of input planes besides x and mu."""
        frames, vector = self.layout.total("frames"), self.layout.total("vector")
        self.frame_planes = nn.Linear(frames, frame_planes * self.bins) if frames else None
        self.vector_map = self.vector_time = self.positions = None
        if vector and vector_as == "map":
            self.vector_map = nn.Sequential(
                nn.Linear(vector, 4 * vector), nn.Mish(), nn.Linear(4 * vector, self.bins)
            )
        elif vector:
            self.vector_time = nn.Linear(vector, channels)
        if frequency_planes:
            self.positions = nn.Parameter(frequency_positions(frequency_planes, self.bins))
        planes = self.layout.total("maps") + (frame_planes if frames else 0) + frequency_planes
        return planes + (self.vector_map is not None)

    def _add_levels(self, width_in: int, widths: list[int], stages: StageBuilder) -> None:
        """Stages at each level, downwards, in the middle and upwards, and the resampling between."""
        ins, low = [width_in, *widths[:-1]], widths[-1]
        self.down = nn.ModuleList(stages(*pair) for pair in zip(ins, widths, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, 2, 1) for w in widths[:-1])
        self.middle = nn.ModuleList(
            [stages(low, low, blocks=1), stages(low, low, stages.blocks - 1, attention=False)]
        )
        self.up = nn.ModuleList(
            stages(2 * widths[i], widths[i - 1]) for i in range(len(widths))[:0:-1]
        )
        self.grow = nn.ModuleList(nn.ConvTranspose2d(w, w, 4, 2, 1) for w in widths[-2::-1])

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedUNet:
        frames = ceiling(mu.shape[-1], self.multiple[1])
        full = F.pad(mask, (0, frames - mask.shape[-1]))
        masks = self._masks(full, mu.dtype)
        states = self.layout.frames(cond)
        planes = self.layout.planes(mu if self.use_mu else None, cond)
        if states is not None:
            states = states * mask[..., None]
            planes.append(rearrange(self.frame_planes(states), "b t (p f) -> b p f t", f=self.bins))
            states = F.pad(states, (0, 0, 0, frames - states.shape[1]))
        vector = self.layout.vector(cond)
        if self.vector_map is not None:
            plane = self.vector_map(vector)[:, None, :, None]
            planes.append(plane.expand(-1, -1, -1, mu.shape[-1]))
        if self.positions is not None:
            planes.append(self.positions[None, ..., None].expand(len(mu), -1, -1, mu.shape[-1]))
        beside = torch.cat(planes, 1) * mask[:, None, None] if planes else mu[:, :0]
        return PreparedUNet(
            planes=fit(beside, self.full_bins, frames),
            masks=masks,
            output_mask=mask[:, None, None].to(mu.dtype),
            biases=self._biases(states),
            vector=None if self.vector_time is None else self.vector_time(vector),
        )

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedUNet) -> Tensor:
        bins, frames = prepared.planes.shape[-2:]
        x = fit(x_in * prepared.output_mask, bins, frames)
        x = fold(torch.cat([x, prepared.planes], 1), self.patch)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        x = x.contiguous(memory_format=layout)
        time = self.time(time_in)
        if prepared.vector is not None:
            time = time + prepared.vector
        x = self._network(x, F.mish(time), prepared.masks, iter(prepared.biases))
        x = unfold(x, self.patch)[..., : x_in.shape[-2], : x_in.shape[-1]]
        return x * prepared.output_mask

    def _network(self, x: Tensor, time: Tensor, masks: list, biases) -> Tensor:
        skips = []
        for level, stage in enumerate(self.down):
            x = stage(x, time, masks[level], biases, self.padded_statistics)
            skips.append(x)
            if level < self.depth - 1:
                x = self.shrink[level](masked(x, masks[level]))
        for stage in self.middle:
            x = stage(x, time, masks[-1], biases, self.padded_statistics)
        for stage, grow, level in zip(self.up, self.grow, range(self.depth)[:0:-1], strict=True):
            x = torch.cat([x, skips[level]], 1)
            x = stage(x, time, masks[level], biases, self.padded_statistics)
            x = grow(masked(x, masks[level]))
        x = self.last(x, masks[0], self.padded_statistics)
        return self.out(masked(x, masks[0]))

    def _masks(self, mask: Tensor, dtype: torch.dtype) -> list[Tensor | None]:
        """The mask at each level; None at all levels when every frame is valid, which is faster."""
        if bool(mask.all()):
            return [None] * self.depth
        levels = [pooled_mask(mask, self.patch[1] * 2**level) for level in range(self.depth)]
        return [level[:, None, None].to(dtype) for level in levels]

    def _biases(self, states: Tensor | None) -> list[Tensor | None]:
        """The frame conditions of each block (B, C, 1, T_l), in the order of evaluation."""
        order = [*enumerate(self.down), *((self.depth - 1, stage) for stage in self.middle)]
        order += zip(range(self.depth)[:0:-1], self.up, strict=True)
        if states is None:
            return [None] * sum(len(stage.blocks) for _, stage in order)
        rate = [self.patch[1] * 2**level for level in range(self.depth)]
        pooled = [F.avg_pool1d(states.mT, r, r).mT if r > 1 else states for r in rate]
        return [
            rearrange(block.frames(pooled[level]), "b t c -> b c 1 t")
            for level, stage in order
            for block in stage.blocks
        ]


def time_embedding(channels: int, scale: float) -> nn.Sequential:
    """Sinusoidal embedding of t and two layers: (B,) -> (B, channels)."""
    return nn.Sequential(
        SinusoidalTime(channels, scale),
        nn.Linear(channels, 4 * channels),
        nn.Mish(),
        nn.Linear(4 * channels, channels),
    )


@dataclass(frozen=True)
class StageBuilder:
    """The options that all stages of a U-Net share; `time` is the width of the time embedding."""

    blocks: int
    time: int
    groups: int
    frames: int
    dropout: float
    attention: bool
    heads: int
    head_size: int
    normalised_query: bool

    def __call__(
        self, width_in: int, width: int, blocks: int | None = None, attention: bool | None = None
    ) -> Stage:
        """A stage from `width_in` to `width` channels; None takes the shared option."""
        count = self.blocks if blocks is None else blocks
        shared = (width, self.time, self.groups, self.frames, self.dropout)
        layers = [Block(width if i else width_in, *shared) for i in range(count)]
        if not (self.attention if attention is None else attention):
            return Stage(layers, None)
        return Stage(
            layers, LinearAttention(width, self.heads, self.head_size, self.normalised_query)
        )


class Stage(nn.Module):
    """Residual blocks and optional attention."""

    def __init__(self, blocks: list[Block], attention: nn.Module | None):
        super().__init__()
        self.blocks, self.attention = nn.ModuleList(blocks), attention

    def forward(self, x: Tensor, time: Tensor, mask: Tensor | None, biases, padded: bool) -> Tensor:
        for block in self.blocks:
            x = block(x, time, mask, next(biases), padded)
        return x if self.attention is None else self.attention(x, None if padded else mask)


class ConvNorm(nn.Module):
    """3 x 3 convolution, GroupNorm, Mish (Misra 2019)."""

    def __init__(self, width_in: int, width: int, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, 3, padding=1)
        self.norm = MaskedGroupNorm(groups, width)

    def forward(self, x: Tensor, mask: Tensor | None, padded: bool) -> Tensor:
        x = self.conv(masked(x, mask))
        return masked(F.mish(self.norm(x, None if padded else mask)), mask)


class Block(nn.Module):
    """Residual block: the time embedding (and frame conditions) are added between its convolutions."""

    def __init__(
        self, width_in: int, width: int, time: int, groups: int, frames: int, dropout: float
    ):
        super().__init__()
        self.first = ConvNorm(width_in, width, groups)
        self.second = ConvNorm(width, width, groups)
        self.time = nn.Linear(time, width)
        self.frames = nn.Linear(frames, width, bias=False) if frames else None
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(
        self, x: Tensor, time: Tensor, mask: Tensor | None, bias: Tensor | None, padded: bool
    ) -> Tensor:
        added = self.time(time)[..., None, None]
        added = added if bias is None else added + bias
        h = self.first(x, mask, padded) + added
        h = self.second(self.dropout(h), mask, padded)
        return h + self.skip(masked(x, mask))
