"""Cross-attention of the frames of a feature map to condition tokens, as in AVDiffuSS."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.networks.attention import Attention, token_mask, token_positions
from voicediff.networks.context import Context, Shape, TokenKeys
from voicediff.networks.masked import MaskedGroupNorm


class FrameTransformer(nn.Module):
    """A transformer over frames of the map averaged over frequency; the result is added to every bin.

    Lee et al. 2024 (AVDiffuSS), section 3.3. The width of the transformer is the number of bins of
    the level. Without `positions` (as published) attention ignores time; with them, rotary positions
    place frames and tokens on one time axis. With `queries: places` every position of the map is a
    query, without the mean; the cost grows by the number of bins.
    """

    def __init__(self, width: int, inner: int, shape: Shape, tokens: dict[str, int]):
        super().__init__()
        self.norm = MaskedGroupNorm(math.gcd(32, width), width, eps=1e-6)
        self.enter, self.leave = nn.Linear(width, inner), nn.Linear(inner, width)
        self.positions, self.queries = shape.positions, shape.queries
        self.blocks = nn.ModuleList(
            TransformerBlock(inner, shape, tokens) for _ in range(shape.depth)
        )

    def keys(self, tokens: dict[str, Tensor], frames: Tensor) -> list[list[TokenKeys]]:
        """Keys and values of each block and stream; frames (B,): valid frames at this level."""
        return [block.keys(tokens, frames, self.positions) for block in self.blocks]

    def forward(self, x: Tensor, context: Context, level: int) -> Tensor:
        mask, rows = context.masks[level], 1
        h = self.norm(x, mask)
        if self.queries == "places":
            h, rows = rearrange(h, "b c f t -> b (t f) c"), x.shape[2]
        else:
            h = h.mean(2).mT
        h = self.enter(h)  # (B, T rows, bins)
        keep = None if mask is None else (mask[:, 0, 0] > 0).repeat_interleave(rows, 1)
        positions = None
        if self.positions:
            positions = torch.arange(x.shape[3], device=h.device).repeat_interleave(rows)[None]
        for block, keys in zip(self.blocks, next(context.keys), strict=True):
            h = block(h, keys, keep, positions)
        return x + rearrange(self.leave(h), "b (t f) c -> b c f t", f=rows)


class TransformerBlock(nn.Module):
    """Self-attention over frames, cross-attention to each stream of tokens, gated feed-forward.

    Keys and values of the self-attention are projections of the *projected queries*, as in the
    code with which the published weights were trained.
    """

    def __init__(self, width: int, shape: Shape, tokens: dict[str, int]):
        super().__init__()
        heads, head_size, inner = shape.heads, shape.head_size, shape.heads * shape.head_size
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.self_attention = Attention(width, heads, head_size, inner)
        self.streams = [tuple(tokens)] if shape.streams == "joined" else [(n,) for n in tokens]
        first, *others = (
            Attention(width, heads, head_size, sum(tokens[name] for name in stream))
            for stream in self.streams
        )
        self.cross_attention, self.others = first, nn.ModuleList(others)
        self.gate = nn.Linear(width, 8 * width)
        self.out = nn.Linear(4 * width, width)

    def keys(self, tokens: dict[str, Tensor], frames: Tensor, positions: bool) -> list[TokenKeys]:
        found = []
        for stream, attention in zip(self.streams, self._crossings(), strict=True):
            source = torch.cat([tokens[name] for name in stream], -1)
            keep = token_mask(source)
            places = token_positions(keep, frames) if positions else None
            found.append(TokenKeys(attention.keys(source, places), keep))
        return found

    def forward(
        self, x: Tensor, streams: list[TokenKeys], keep: Tensor | None, positions: Tensor | None
    ) -> Tensor:
        h = self.norm1(x)
        own = self.self_attention.keys(self.self_attention.q(h), positions)
        x = x + self.self_attention(h, own, keep, positions)
        h = self.norm2(x)
        for attention, tokens in zip(self._crossings(), streams, strict=True):
            x = x + attention(h, tokens.keys, tokens.keep, positions)
        value, gate = self.gate(self.norm3(x)).chunk(2, -1)
        return x + self.out(value * F.gelu(gate))

    def _crossings(self) -> list[Attention]:
        return [self.cross_attention, *self.others]
