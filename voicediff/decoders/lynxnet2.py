"""LYNXNet2: depthwise convolution over frames, then two gated pointwise layers."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.decoders.sequence import SequenceDecoder, over_time
from voicediff.networks.conditioning import Sizes
from voicediff.registry import register


@register("decoder", "lynxnet2")
class LYNXNet2(SequenceDecoder):
    """LYNXNet2 of openvpi's DiffSinger: depthwise convolutions and gated pointwise layers over frames.

    Conditions enter once, at the input, and most operations are matrix products. The sizes published
    by openvpi are

        {name: lynxnet2, layers: 6, channels: 1024, use_mu: false}

    Conditions: frames, maps and mu join the input projection; vectors join the time embedding.
    time_scale, time_shift, reversed_time, output_scale: as in `wavenet`.
    """

    def __init__(
        self,
        channels_in: int = 1,
        bins: int = 80,
        conditions: Sizes | None = None,
        layers: int = 6,
        channels: int = 512,
        expansion: float = 1.0,
        kernel: int = 31,
        gate: Literal["swiglu", "atanglu"] = "swiglu",
        dropout: float = 0.0,
        use_mu: bool = True,
        time_scale: float = 1000.0,
        time_shift: float = 0.0,
        output_scale: float = 1.0,
        reversed_time: bool = False,
    ):
        super().__init__(
            channels_in,
            bins,
            conditions,
            "lynxnet2",
            channels,
            use_mu,
            time_scale,
            time_shift,
            output_scale,
            reversed_time,
            nn.GELU,
        )
        frames = self.layout.total("frames")
        self.frames = nn.Linear(frames, channels) if frames else None
        self.blocks = nn.ModuleList(
            LYNX2Block(channels, int(channels * expansion), kernel, gate, dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)

    def conditioned(self, frames: Tensor | None) -> list[Tensor | None]:
        return [None if frames is None else self.frames(frames)]

    def layers(
        self, h: Tensor, time: Tensor, conditioners: list[Tensor | None], mask: Tensor | None
    ) -> Tensor:
        (conditioner,) = conditioners
        h = h + time[:, None] if conditioner is None else h + conditioner + time[:, None]
        for block in self.blocks:
            h = h + block(h, mask)
        return self.norm(h)


class LYNX2Block(nn.Module):
    """Norm, depthwise convolution, two gated layers, a pointwise one."""

    def __init__(self, channels: int, inner: int, kernel: int, gate: str, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.gate1 = nn.Linear(channels, 2 * inner)
        self.gate2 = nn.Linear(inner, 2 * inner)
        self.out = nn.Linear(inner, channels)
        self.dropout = nn.Dropout(dropout)
        self.function = {"swiglu": F.silu, "atanglu": torch.atan}[gate]

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        h = over_time(self.conv, self.norm(h), mask)
        for layer in (self.gate1, self.gate2):
            signal, gate = layer(h).chunk(2, -1)
            h = signal * self.function(gate)
        return self.dropout(self.out(h))
