"""Attention: over frames and tokens with rotary positions, and over the plane in linear time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def rotate(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs of channels turn with the position.

    x (B, H, N, D) with even D, positions (B, N) or (1, N), any real numbers.
    """
    half = x.shape[-1] // 2
    speeds = base ** (-torch.arange(half, device=x.device) / half)
    angles = positions[:, None, :, None].float() * speeds
    sin, cos = angles.sin().to(x.dtype), angles.cos().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def token_mask(tokens: Tensor) -> Tensor:
    """Bool (B, L): a row of zeros is padding, unless the item has nothing else (dropped tokens)."""
    return seen_by_all((tokens != 0).any(-1))


def token_positions(tokens_kept: Tensor, frames: Tensor) -> Tensor:
    """Places of tokens (B, L) on the time axis of the frames, evenly from 0 to frames[b].

    Padding follows the last token that is kept; gaps before it keep their places.
    """
    index = torch.arange(tokens_kept.shape[1], device=tokens_kept.device)
    count = (tokens_kept * (index + 1)).amax(-1, keepdim=True)
    return index * frames[:, None] / count


def seen_by_all(keep: Tensor) -> Tensor:
    """keep (B, N), all True for an item that keeps nothing: its softmax stays finite."""
    return keep | ~keep.any(-1, keepdim=True)


class Attention(nn.Module):
    """Multi-head attention of queries (B, N, width) to keys (B, L, source), width when None.

    `keys` prepares what does not change while the queries do; `forward` uses it.
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
        """keep bool (B, L): which keys are seen; positions (B, N) of the queries."""
        q = self._split(self.q(x))
        q = q if positions is None else rotate(q, positions)
        keep = None if keep is None else seen_by_all(keep)[:, None, None]
        out = F.scaled_dot_product_attention(q, *keys, attn_mask=keep)
        return self.out(rearrange(out, "b h n d -> b n (h d)"))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (h d) -> b h n d", h=self.heads)


class LinearAttention(nn.Module):
    """Attention over all F x T positions in linear time, gated from zero (Rezero).

    Shen et al. 2021: softmax of k over positions, context = k v^T, out = context^T q.
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
