"""A lip encoder that a CPU can train: plain 2-D convolutions on stacks of neighbouring frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.encoders.base import LipEncoder
from voicediff.layers import ConvBlock
from voicediff.registry import register


@register("encoder", "lip_stacks")
class LipStacks(LipEncoder):
    """Strided 2-D convolutions on three neighbouring frames, then convolutions in time; for CPUs.

    A frame, the one before and the one after it are the channels of the first layer, so that it
    sees motion without a 3-D convolution, which costs more than all else here. Whether each of
    the three was seen goes into the convolutions in time.

    Args:
        dim: width of the states.
        channels: of the strided convolutions; each halves the picture, first 88 x 88.
        layers, kernel: residual blocks in time, and their kernel in frames of video.
        dropout: in these blocks.
    """

    def __init__(
        self,
        dim: int = 96,
        channels: tuple[int, ...] = (16, 32, 48, 64),
        layers: int = 2,
        kernel: int = 5,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.dim = dim
        widths = (3, *channels)
        self.pictures = nn.ModuleList(
            nn.Conv2d(a, b, 3 if i else 5, 2, 1 if i else 2)
            for i, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in channels)
        self.narrow = nn.Conv2d(channels[-1], 16, 1)
        side = -(-88 // 2 ** len(channels))
        self.enter = nn.Linear(16 * side * side + 3, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, kernel, dropout) for _ in range(layers))

    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        seen = valid.to(mouth.dtype)
        stacks = _neighbours(mouth * seen[..., None, None])  # (B, T, 3, 88, 88)
        x = rearrange(stacks, "b t c h w -> (b t) c h w")
        x = x.contiguous(memory_format=torch.channels_last)
        for conv, norm in zip(self.pictures, self.norms, strict=True):
            x = F.silu(norm(conv(x)))
        x = self.narrow(x).flatten(1).unflatten(0, mouth.shape[:2])
        x = self.enter(torch.cat([x, _neighbours(seen).to(x.dtype)], -1)).mT
        everywhere = torch.ones_like(valid)[:, None]
        for block in self.blocks:
            x = block(x, everywhere)
        return x.mT


def _neighbours(x: Tensor) -> Tensor:
    """(B, T, ...) -> (B, T, 3, ...): the frame before, the frame, the frame after; 0 outside."""
    padded = F.pad(x, (0, 0) * (x.dim() - 2) + (1, 1))
    return torch.stack([padded[:, :-2], x, padded[:, 2:]], 2)
