"""Small layers and functions shared by several networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def per_item(values: Tensor, like: Tensor) -> Tensor:
    """`values` (B,) shaped so that it broadcasts over `like` (B, ...)."""
    return values.reshape(-1, *(1,) * (like.dim() - 1))


def length_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """Bool mask (B, T), True where t < lengths[b].

    >>> length_mask(torch.tensor([1, 3])).tolist()
    [[True, False, False], [True, True, True]]
    """
    size = int(lengths.max()) if size is None else size
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def rotate_positions(x: Tensor, base: float = 10000.0) -> Tensor:
    """Rotary position embedding of x (..., L, D), D even (Su et al. 2021, Eq. 34)."""
    length, dim = x.shape[-2:]
    rates = base ** (-torch.arange(0, dim, 2, device=x.device, dtype=torch.float32) / dim)
    angles = torch.arange(length, device=x.device, dtype=torch.float32)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)  # (L, D/2)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def train_unfrozen(module: nn.Module, mode: bool) -> None:
    """Set train or eval mode, with eval mode for submodules whose parameters are all frozen."""
    parameters = list(module.parameters()) if mode else []
    mode = mode and (not parameters or any(p.requires_grad for p in parameters))
    if module.training != mode:
        module.training = mode
    for child in module.children():
        train_unfrozen(child, mode)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each frame of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mT).mT


class ConvBlock(nn.Module):
    """Residual block on (B, C, T): norm, convolution, SiLU, dropout, pointwise convolution.

    The convolution is dense: depthwise ones are slow on CPUs. Padded frames stay zero.
    """

    def __init__(self, channels: int, kernel: int = 5, dropout: float = 0.0, dilation: int = 1):
        super().__init__()
        self.norm = ChannelNorm(channels)
        reach = dilation * (kernel // 2)
        self.conv = nn.Conv1d(channels, channels, kernel, padding=reach, dilation=dilation)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), mask (B, 1, T) bool -> (B, C, T)."""
        hidden = self.dropout(nn.functional.silu(self.conv(self.norm(x) * mask)))
        return (x + self.out(hidden)) * mask
