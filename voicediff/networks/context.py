"""Sizes of an NCSN++, and the conditions that its blocks share in one evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor


@dataclass
class Shape:
    """The sizes of an NCSN++.

    heads, head_size, depth, positions, streams and queries belong to the cross-attention, see
    `FrameTransformer`. streams: `joined` attends to the concatenated tokens of all conditions,
    `separate` to each condition in turn.
    """

    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 2)
    blocks: int = 2
    attention: tuple[int, ...] = (16,)
    cross_attention: tuple[int, ...] = ()
    pyramid: bool = True
    dropout: float = 0.0
    heads: int = 4
    head_size: int = 16
    depth: int = 1
    positions: bool = True
    streams: Literal["joined", "separate"] = "joined"
    queries: Literal["frames", "places"] = "frames"

    @property
    def multiple(self) -> int:
        """What bins and frames must be a multiple of."""
        return 2 ** (len(self.multipliers) - 1)


@dataclass
class TokenKeys:
    """Keys and values of all tokens (B, H, L, D), and their mask (B, L), False for padding."""

    keys: tuple[Tensor, Tensor]
    keep: Tensor


@dataclass
class Context:
    """The inputs of one evaluation besides the feature map.

    time: (B, E) or None. masks: one per level, (B, 1, 1, T_l) or None for all valid. biases: frame
    conditions of each residual block, (B, C, 1, T_l) or None. keys: one per transformer.
    """

    time: Tensor | None
    masks: list[Tensor | None]
    biases: Iterator[Tensor | None]
    keys: Iterator[list[list[TokenKeys]]] = field(default_factory=lambda: iter(()))
