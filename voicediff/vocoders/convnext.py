"""ConvNeXt blocks over frames (Liu et al. 2022): the backbone of the inverse-STFT vocoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voicediff.networks.layers import ChannelNorm


class ConvNeXt(nn.Module):
    """Frames (B, inputs, T) -> (B, channels, T), with a receptive field of `context` frames each side.

    Norms act on single frames, so chunks with enough context give the same result as the whole.
    """

    def __init__(
        self, inputs: int, channels: int, layers: int, expansion: int = 3, kernel: int = 7
    ):
        super().__init__()
        self.enter = nn.Conv1d(inputs, channels, kernel, padding=kernel // 2)
        self.norm = ChannelNorm(channels)
        self.blocks = nn.ModuleList(
            Block(channels, expansion, kernel, 1 / layers) for _ in range(layers)
        )
        self.last = ChannelNorm(channels)
        self.context = (layers + 1) * (kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.enter(x))
        for block in self.blocks:
            h = block(h)
        return self.last(h)


class Block(nn.Module):
    """Depthwise convolution, norm, two pointwise layers, residual with a small initial scale."""

    def __init__(self, channels: int, expansion: int, kernel: int, scale: float):
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, h: Tensor) -> Tensor:
        y = self.norm(self.depthwise(h).mT)
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        return h + (self.scale * y).mT
