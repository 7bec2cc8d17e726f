"""How networks receive conditions: declared kinds and sizes, time embedding, padding."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions

#: The conditions a network is built for: name -> (kind of `Conditions`, channels or dimension).
Sizes = dict[str, tuple[str, int]]

KINDS = ("maps", "frames", "tokens", "vector")


class Layout:
    """The conditions of a network by kind, in the order of their declaration.

    ConfigError for a kind that the network does not support.
    """

    def __init__(self, conditions: Sizes | None, supported: Iterable[str], network: str):
        self.sizes: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
        supported = tuple(supported)
        for name, (kind, size) in (conditions or {}).items():
            if kind not in supported:
                raise ConfigError(
                    f"{network}: cannot take condition {name!r} of kind {kind!r}; "
                    f"it supports {', '.join(supported)}"
                )
            self.sizes[kind][name] = size

    def total(self, kind: str) -> int:
        """Sum of the channels or dimensions of a kind."""
        return sum(self.sizes[kind].values())

    def planes(self, mu: Tensor | None, cond: Conditions) -> list[Tensor]:
        """mu and all maps, each (B, C, F, T): further input planes beside x."""
        return [*([] if mu is None else [mu]), *(cond.maps[name] for name in self.sizes["maps"])]

    def frames(self, cond: Conditions) -> Tensor | None:
        """All frame conditions, concatenated (B, T, D)."""
        return self._joined(cond.frames, "frames")

    def tokens(self, cond: Conditions) -> dict[str, Tensor]:
        """The token conditions by name, each (B, L, D)."""
        return {name: cond.tokens[name] for name in self.sizes["tokens"]}

    def vector(self, cond: Conditions) -> Tensor | None:
        """All vectors, concatenated (B, D)."""
        return self._joined(cond.vector, "vector")

    def states(self, cond: Conditions, count: int) -> Tensor | None:
        """Frame conditions and vectors, repeated over `count` frames, concatenated (B, T, D)."""
        vector = self.vector(cond)
        known = [self.frames(cond), vector if vector is None else _repeated(vector, count)]
        known = [states for states in known if states is not None]
        return torch.cat(known, -1) if known else None

    def _joined(self, tensors: dict[str, Tensor], kind: str) -> Tensor | None:
        names = self.sizes[kind]
        return torch.cat([tensors[name] for name in names], -1) if names else None


def extended(states: Tensor | None, vector: Tensor, count: int) -> Tensor:
    """States (B, count, D), if any, concatenated in every frame with a vector (B, D')."""
    vector = _repeated(vector, count)
    return vector if states is None else torch.cat([states, vector], -1)


def _repeated(vector: Tensor, count: int) -> Tensor:
    """(B, D) -> (B, count, D)."""
    return vector[:, None].expand(-1, count, -1)


class SinusoidalTime(nn.Module):
    """Sines and cosines of `scale * t + shift` at `size / 2` geometric frequencies: (B,) -> (B, size).

    Vaswani et al. 2017, section 3.5; here the last frequency is exactly 1 / 10000.
    """

    def __init__(self, size: int, scale: float = 1000.0, shift: float = 0.0):
        super().__init__()
        if size < 4 or size % 2:
            raise ConfigError(f"time embedding: size {size} must be even and at least 4")
        self.scale, self.shift = scale, shift
        half = size // 2
        steps = torch.arange(half) * (-math.log(10000) / (half - 1))
        self.register_buffer("frequencies", steps.exp(), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = (self.scale * t[:, None] + self.shift) * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], -1)


def ceiling(size: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `size`."""
    return -(-size // multiple) * multiple


def fit(x: Tensor, bins: int, frames: int) -> Tensor:
    """x (..., F, T) zero-padded to (bins, frames)."""
    missing = (0, frames - x.shape[-1], 0, bins - x.shape[-2])
    return F.pad(x, missing) if any(missing) else x


def pooled_mask(mask: Tensor, factor: int) -> Tensor:
    """mask (B, T) at a rate `factor` times lower: True where any of the frames is True."""
    return mask.reshape(mask.shape[0], -1, factor).any(-1) if factor > 1 else mask
