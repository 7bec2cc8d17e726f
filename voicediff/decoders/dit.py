"""A diffusion transformer over patches of the time-frequency plane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.errors import ConfigError
from voicediff.networks.attention import Attention, token_mask, token_positions
from voicediff.networks.conditioning import (
    Layout,
    SinusoidalTime,
    Sizes,
    ceiling,
    fit,
    pooled_mask,
)
from voicediff.networks.conditions import Conditions
from voicediff.registry import register


@dataclass
class PreparedDiT(Prepared):
    """beside (B, N, D), the part of mu, maps and frames in the embedding, or None; keep (B, N) or
    None; keys of the tokens per block; keep_tokens (B, L) or None; vector (B, D) or None."""

    beside: Tensor | None
    keep: Tensor | None
    keys: list[tuple[Tensor, Tensor] | None]
    keep_tokens: Tensor | None
    vector: Tensor | None
    output_mask: Tensor


@register("decoder", "dit")
class DiT(Decoder):
    """Diffusion transformer (DiT) on patches of a mel or complex spectrum (Peebles & Xie 2023); for GPUs.

    Patches and adaLN-zero as in the paper; rotary positions in time (Su et al. 2021) and learned
    ones in frequency. Quality grows with model size and data. Patches that span all bins (`patch: [80, 1]`, or `patch: [0, 1]` for "all") make it
    a transformer over frames. The paper's sizes S, B, L are

        {name: dit, channels: 384, layers: 12, heads: 6}
        {name: dit, channels: 768, layers: 12, heads: 12}
        {name: dit, channels: 1024, layers: 24, heads: 16}

    Conditions: maps, mu and frames join the patch embedding; vectors join the time embedding;
    tokens are attended to in every block.

    patch: (bins, frames) of a patch; 0 bins means all.
    """

    def __init__(
        self,
        channels_in: int = 1,
        bins: int = 80,
        conditions: Sizes | None = None,
        channels: int = 384,
        layers: int = 12,
        heads: int = 6,
        expansion: int = 4,
        patch: tuple[int, int] = (0, 1),
        use_mu: bool = True,
        time_scale: float = 1000.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if channels % (2 * heads):
            raise ConfigError(f"dit: channels {channels} must be a multiple of 2 x heads ({heads})")
        self.layout = Layout(conditions, ("maps", "frames", "tokens", "vector"), "decoder dit")
        self.patch = (patch[0] or bins, patch[1])
        self.full_bins, self.use_mu = ceiling(bins, self.patch[0]), use_mu
        self.rows = self.full_bins // self.patch[0]
        size = self.patch[0] * self.patch[1]
        self.enter = nn.Linear(channels_in * size, channels)
        beside = (channels_in if use_mu else 0) + self.layout.total("maps")
        self.beside = nn.Linear(beside * size, channels, bias=False) if beside else None
        frames, vector = self.layout.total("frames"), self.layout.total("vector")
        self.frames = nn.Linear(frames * self.patch[1], channels, bias=False) if frames else None
        self.vector = nn.Linear(vector, channels) if vector else None
        self.row = nn.Parameter(0.02 * torch.randn(self.rows, channels)) if self.rows > 1 else None
        self.time = nn.Sequential(
            SinusoidalTime(channels, time_scale),
            nn.Linear(channels, channels),
            nn.SiLU(),
            nn.Linear(channels, channels),
        )
        tokens = self.layout.total("tokens")
        self.blocks = nn.ModuleList(
            DiTBlock(channels, heads, expansion, tokens, dropout) for _ in range(layers)
        )
        self.modulation = zeroed(nn.Linear(channels, 2 * channels))
        self.leave = zeroed(nn.Linear(channels, channels_in * size))

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedDiT:
        frames = ceiling(mask.shape[1], self.patch[1])
        full = F.pad(mask, (0, frames - mask.shape[1]))
        output_mask = mask[:, None, None].to(mu.dtype)
        parts = []
        planes = self.layout.planes(mu if self.use_mu else None, cond)
        if planes:
            parts.append(self.beside(self._patches(torch.cat(planes, 1) * output_mask)))
        states = self.layout.frames(cond)
        if states is not None:
            states = F.pad(states * mask[..., None], (0, 0, 0, frames - mask.shape[1]))
            states = self.frames(rearrange(states, "b (t q) d -> b t (q d)", q=self.patch[1]))
            parts.append(states.repeat_interleave(self.rows, 1))
        keep = pooled_mask(full, self.patch[1]).repeat_interleave(self.rows, 1)
        vector = self.layout.vector(cond)
        keys, keep_tokens = self._keys(cond, full.sum(-1) / self.patch[1])
        return PreparedDiT(
            beside=sum(parts) if parts else None,
            keep=None if bool(keep.all()) else keep,
            keys=keys,
            keep_tokens=keep_tokens,
            vector=None if vector is None else self.vector(vector),
            output_mask=output_mask,
        )

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedDiT) -> Tensor:
        time = self.time(time_in)
        time = F.silu(time if prepared.vector is None else time + prepared.vector)
        h = self.enter(self._patches(x_in * prepared.output_mask))
        if prepared.beside is not None:
            h = h + prepared.beside
        steps = h.shape[1] // self.rows
        if self.row is not None:
            h = h + self.row.repeat(steps, 1)
        positions = torch.arange(steps, device=h.device).repeat_interleave(self.rows)[None]
        for block, keys in zip(self.blocks, prepared.keys, strict=True):
            h = block(h, time, positions, prepared.keep, keys, prepared.keep_tokens)
        shift, scale = self.modulation(time)[:, None].chunk(2, -1)
        h = self.leave(modulated(h, shift, scale))
        p, q = self.patch
        x = rearrange(h, "b (t f) (c p q) -> b c (f p) (t q)", f=self.rows, p=p, q=q)
        return x[..., : x_in.shape[-2], : x_in.shape[-1]] * prepared.output_mask

    def _patches(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, N, C p q), N = frames x rows, in the order of frames, then bins."""
        p, q = self.patch
        x = fit(x, self.full_bins, ceiling(x.shape[-1], q))
        return rearrange(x, "b c (f p) (t q) -> b (t f) (c p q)", p=p, q=q)

    def _keys(self, cond: Conditions, steps: Tensor) -> tuple[list, Tensor | None]:
        if not self.layout.sizes["tokens"]:
            return [None] * len(self.blocks), None
        tokens = torch.cat(list(self.layout.tokens(cond).values()), -1)
        keep = token_mask(tokens)
        places = token_positions(keep, steps)
        return [block.crossing.keys(tokens, places) for block in self.blocks], keep


class DiTBlock(nn.Module):
    """Self-attention, cross-attention (if there are tokens) and feed-forward with adaLN-zero gates."""

    def __init__(self, channels: int, heads: int, expansion: int, tokens: int, dropout: float):
        super().__init__()
        self.attention = Attention(channels, heads, channels // heads)
        self.crossing = Attention(channels, heads, channels // heads, tokens) if tokens else None
        self.feed = nn.Sequential(
            nn.Linear(channels, expansion * channels),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(expansion * channels, channels),
        )
        self.parts = 3 if tokens else 2
        self.modulation = zeroed(nn.Linear(channels, 3 * self.parts * channels))

    def forward(
        self,
        h: Tensor,
        time: Tensor,
        positions: Tensor,
        keep: Tensor | None,
        keys: tuple[Tensor, Tensor] | None,
        keep_tokens: Tensor | None,
    ) -> Tensor:
        changes = self.modulation(time)[:, None].chunk(3 * self.parts, -1)
        shift, scale, gate = changes[:3]
        y = modulated(h, shift, scale)
        own = self.attention.keys(y, positions)
        h = h + gate * self.attention(y, own, keep, positions)
        if keys is not None:
            shift, scale, gate = changes[6:]
            y = modulated(h, shift, scale)
            h = h + gate * self.crossing(y, keys, keep_tokens, positions)
        shift, scale, gate = changes[3:6]
        return h + gate * self.feed(modulated(h, shift, scale))


def modulated(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm with shift and scale from the time embedding (adaLN)."""
    return F.layer_norm(h, h.shape[-1:], eps=1e-6) * (1 + scale) + shift


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, initialised at zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
