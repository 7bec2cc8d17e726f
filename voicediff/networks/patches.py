"""Patches of the time-frequency plane as channels, and position features in frequency."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor


def fold(x: Tensor, patch: tuple[int, int]) -> Tensor:
    """(B, C, F, T) -> (B, C p q, F / p, T / q): patches become channels, contiguous in memory.

    Two permutations take half the time of one.
    """
    if patch == (1, 1):
        return x
    rows = rearrange(x, "b c (f p) t -> b f (c p) t", p=patch[0])
    folded = rearrange(rows, "b f r (t q) -> b f t (r q)", q=patch[1])
    return folded.movedim(-1, 1)


def unfold(x: Tensor, patch: tuple[int, int]) -> Tensor:
    """The inverse of `fold`."""
    if patch == (1, 1):
        return x
    return rearrange(x, "b (c p q) f t -> b c (f p) (t q)", p=patch[0], q=patch[1])


def frequency_positions(planes: int, bins: int) -> Tensor:
    """Cosines of 1, 2, ... half periods over the bins: (planes, F)."""
    place = (torch.arange(bins) + 0.5) / bins
    return torch.cos(torch.pi * torch.arange(1, planes + 1)[:, None] * place)
