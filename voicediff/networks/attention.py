"""Attention over frames and tokens with rotary positions, and linear attention over the plane."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def rotate(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Rotary position embedding (Su et al. 2021): pairs of channels are rotated by the position.

    x (B, H, N, D) with even D, positions (B, N) or (1, N), any real numbers.
    """
    half = x.shape[-1] // 2
    speeds = base ** (-torch.arange(half, device=x.device) / half)
    angles = positions[:, None, :, None].float() * speeds
    sin, cos = angles.sin().to(x.dtype), angles.cos().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def token_mask(tokens: Tensor) -> Tensor:
    """Bool (B, L): False for padding, i.e. all-zero tokens; all True for items of zeros only (dropped)."""
    return attend_all_if_empty((tokens != 0).any(-1))


def token_positions(tokens_kept: Tensor, frames: Tensor) -> Tensor:
    """Positions of tokens (B, L) on the time axis of the frames, evenly spaced from 0 to frames[b].

    The last kept token sets the spacing; padded tokens between kept ones also take a position.
    """
    index = torch.arange(tokens_kept.shape[1], device=tokens_kept.device)
    count = (tokens_kept * (index + 1)).amax(-1, keepdim=True)
    return index * frames[:, None] / count


def attend_all_if_empty(keep: Tensor) -> Tensor:
    """keep (B, N), with all True for items without any True, so that their softmax stays finite."""
    return keep | ~keep.any(-1, keepdim=True)


class Attention(nn.Module):
    """Multi-head attention of queries (B, N, width) to keys (B, L, source), width when None.

    `keys` computes keys and values, which can be reused for several queries by `forward`.
    """

    def __init__(self, width: int, heads: int, head_size: int, source: int | None = None):
        super().__init__()
        self.heads = heads
        inner = heads * head_size
        self.q = nn.Linear(width, inner, bias=False)
        self.k = nn.Linear(width if source is None else source, inner, bias=False)
        self.v = nn.Linear(width if source is None else source, inner, bias=False)
        self.out = nn.Linear(inner, width)

    def keys(self, source: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, L, D) of source (B, L, source)."""
        k, v = self._split(self.k(source)), self._split(self.v(source))
        return (k if positions is None else rotate(k, positions)), v

    def forward(
        self,
        x: Tensor,
        keys: tuple[Tensor, Tensor],
        keep: Tensor | None,
        positions: Tensor | None,
    ) -> Tensor:
        """keep bool (B, L): keys that are attended to; positions (B, N) of the queries."""
        q = self._split(self.q(x))
        q = q if positions is None else rotate(q, positions)
        keep = None if keep is None else attend_all_if_empty(keep)[:, None, None]
        out = F.scaled_dot_product_attention(q, *keys, attn_mask=keep)
        return self.out(rearrange(out, "b h n d -> b n (h d)"))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (h d) -> b h n d", h=self.heads)


class LinearAttention(nn.Module):
    """Linear attention over all F x T positions (Shen et al. 2021), with a gate that starts at zero.

    Softmax of k over the positions, context = k v^T, out = context^T q. The gate is that of ReZero
    (Bachlechner et al. 2021).
    """

    def __init__(self, width: int, heads: int, head_size: int, normalised_query: bool):
        super().__init__()
        self.heads, self.normalised_query = heads, normalised_query
        self.qkv = nn.Conv2d(width, 3 * heads * head_size, 1, bias=False)
        self.out = nn.Conv2d(heads * head_size, width, 1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        bins, frames = x.shape[-2:]
        q, k, v = rearrange(
            self.qkv(x), "b (n h c) f t -> n b h c (f t)", n=3, h=self.heads
        ).unbind(0)
        if mask is not None:
            positions = mask.expand(-1, -1, bins, -1).reshape(len(mask), 1, 1, -1)
            # not -inf: an item without any valid frame must stay finite
            k = k.masked_fill(positions == 0, torch.finfo(k.dtype).min)
        if self.normalised_query:
            q = q.softmax(-2) * q.shape[-2] ** -0.5
        context = k.softmax(-1) @ v.mT
        out = rearrange(context.mT @ q, "b h c (f t) -> b (h c) f t", f=bins, t=frames)
        return x + self.gate * self.out(out)
