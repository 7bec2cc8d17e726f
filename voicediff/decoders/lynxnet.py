"""LYNXNet: gated depthwise-separable convolutions over frames."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.decoders.sequence import SequenceDecoder, over_time
from voicediff.networks.conditioning import Sizes
from voicediff.registry import register


@register("decoder", "lynxnet")
class LYNXNet(SequenceDecoder):
    """LYNXNet of openvpi's DiffSinger: gated depthwise convolutions with long kernels over frames.

    Each layer adds time and frames, then applies a Conformer convolution module (Gulati et al. 2020,
    section 2.2) with SwiGLU. The sizes published by openvpi are

        {name: lynxnet, layers: 6, channels: 1024, use_mu: false}

    Conditions: frames enter every layer; maps and mu join the input projection; vectors join the
    time embedding. On CPUs depthwise convolutions are slow; use `wavenet` or `unet` there.

    strong_condition: add the frames to the residual stream, and omit the activation after the input
        projection.
    time_scale, time_shift, reversed_time, output_scale: as in `wavenet`.
    """

    def __init__(
        self,
        channels_in: int = 1,
        bins: int = 80,
        conditions: Sizes | None = None,
        layers: int = 6,
        channels: int = 512,
        expansion: int = 2,
        kernel: int = 31,
        activation: Literal["PReLU", "SiLU", "ReLU"] = "PReLU",
        dropout: float = 0.0,
        strong_condition: bool = False,
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
            "lynxnet",
            channels,
            use_mu,
            time_scale,
            time_shift,
            output_scale,
            reversed_time,
            nn.GELU,
        )
        frames = self.layout.total("frames")
        inner = channels * expansion
        acts = {"PReLU": lambda: nn.PReLU(inner), "SiLU": nn.SiLU, "ReLU": nn.ReLU}
        self.blocks = nn.ModuleList(
            LYNXBlock(channels, inner, frames, kernel, acts[activation](), dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.strong_condition = strong_condition

    def conditioned(self, frames: Tensor | None) -> list[Tensor | None]:
        if frames is None:
            return [None] * len(self.blocks)
        return [block.frames(frames) for block in self.blocks]

    def layers(
        self, h: Tensor, time: Tensor, conditioners: list[Tensor | None], mask: Tensor | None
    ) -> Tensor:
        h = h if self.strong_condition else F.gelu(h)
        for block, conditioner in zip(self.blocks, conditioners, strict=True):
            conditioned = h if conditioner is None else h + conditioner
            residual = conditioned if self.strong_condition else h
            h = residual + block(conditioned, time, mask)
        return self.norm(h)


class LYNXBlock(nn.Module):
    """Norm, pointwise SwiGLU, depthwise convolution, activation, pointwise convolution."""

    def __init__(
        self,
        channels: int,
        inner: int,
        frames: int,
        kernel: int,
        activation: nn.Module,
        dropout: float,
    ):
        super().__init__()
        self.time = nn.Linear(channels, channels)
        self.frames = nn.Linear(frames, channels) if frames else None
        self.norm = nn.LayerNorm(channels)
        self.gate = nn.Linear(channels, 2 * inner)
        self.conv = nn.Conv1d(inner, inner, kernel, padding=kernel // 2, groups=inner)
        self.activation = activation
        self.out = nn.Linear(inner, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, time: Tensor, mask: Tensor | None) -> Tensor:
        signal, gate = self.gate(self.norm(h + self.time(time)[:, None])).chunk(2, -1)
        y = over_time(self.conv, signal * F.silu(gate), mask)
        y = self.activation(y.mT).mT  # PReLU expects channels on axis 1
        return self.dropout(self.out(y))
