"""Blocks of NCSN++: residual blocks with resampling, and attention over the plane."""

from __future__ import annotations

import math

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.networks.attention import attend_all_if_empty
from voicediff.networks.context import Context
from voicediff.networks.fir import FIR
from voicediff.networks.masked import MaskedGroupNorm, masked


class ResidualBlock(nn.Module):
    """BigGAN residual block (Brock et al. 2019) as in NCSN++; `resample` is "", "down" or "up"."""

    def __init__(
        self,
        width_in: int,
        width: int,
        embedding: int,
        frames: int,
        dropout: float,
        fir: FIR,
        resample: str,
    ):
        super().__init__()
        self.norm1, self.norm2 = norm(width_in), norm(width)
        self.conv1 = conv(width_in, width, 3)
        self.conv2 = conv(width, width, 3, zero=True)
        self.time = nn.Linear(embedding, width) if embedding else None
        self.frames = nn.Linear(frames, width, bias=False) if frames else None
        self.dropout = nn.Dropout(dropout)
        self.skip = conv(width_in, width, 1) if width_in != width or resample else nn.Identity()
        self.fir = fir
        self.step = {"down": 1, "up": -1}.get(resample, 0)

    def forward(self, x: Tensor, context: Context, level: int) -> Tensor:
        """level: that of the input."""
        h = masked(F.silu(self.norm1(x, context.masks[level])), context.masks[level])
        if self.step:
            resample = self.fir.down if self.step > 0 else self.fir.up
            x, h = resample(masked(x, context.masks[level])), resample(h)
        mask = context.masks[level + self.step]
        h = self.conv1(masked(h, mask) if self.step else h)
        if self.time is not None:
            h = h + self.time(context.time)[..., None, None]
        bias = next(context.biases)
        h = h if bias is None else h + bias
        h = self.dropout(F.silu(self.norm2(h, mask)))
        return (self.skip(x) + self.conv2(masked(h, mask))) / math.sqrt(2)


class SpaceAttention(nn.Module):
    """Single-head self-attention over all positions of the plane."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = norm(width)
        self.q, self.k, self.v = (conv(width, width, 1) for _ in range(3))
        self.out = conv(width, width, 1, zero=True)

    def forward(self, x: Tensor, context: Context, level: int) -> Tensor:
        bins, frames = x.shape[-2:]
        mask = context.masks[level]
        h = self.norm(x, mask)
        q, k, v = (rearrange(f(h), "b c f t -> b 1 (f t) c") for f in (self.q, self.k, self.v))
        keep = None
        if mask is not None:
            keep = (mask > 0).expand(-1, -1, bins, -1).reshape(len(x), -1)
            keep = attend_all_if_empty(keep)[:, None, None]
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        h = self.out(rearrange(h, "b 1 (f t) c -> b c f t", f=bins, t=frames))
        return (x + h) / math.sqrt(2)


def conv(width_in: int, width: int, size: int, zero: bool = False) -> nn.Conv2d:
    """A convolution with DDPM's variance-scaling initialisation, or initialised at zero."""
    layer = nn.Conv2d(width_in, width, size, padding=size // 2)
    nn.init.zeros_(layer.weight) if zero else nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def norm(width: int) -> MaskedGroupNorm:
    return MaskedGroupNorm(min(width // 4, 32), width, eps=1e-6)
