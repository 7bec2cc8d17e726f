"""The conditions of a network beside x and t: one record for all tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields

from torch import Tensor

from voicediff.networks.layers import per_item


@dataclass
class Conditions:
    """Named condition tensors of four kinds; names are unique over all kinds.

    maps:   input planes beside x, each (B, C, F, T), e.g. mixture, predictor's estimate, harmonics
    frames: added, or applied as scale and shift, per frame, each (B, T, D), e.g. lips, encoder states
    tokens: for cross-attention, each (B, L, D)
    vector: one per item, each (B, D), e.g. singer, identity

    >>> import torch
    >>> cond = Conditions(frames={"lips": torch.ones(1, 5, 2)}, vector={"singer": torch.ones(1, 3)})
    >>> cond.without(["singer"]).vector["singer"]
    tensor([[0., 0., 0.]])
    >>> cond.crop(1, 3).frames["lips"].shape
    torch.Size([1, 2, 2])
    """

    maps: dict[str, Tensor] = field(default_factory=dict)
    frames: dict[str, Tensor] = field(default_factory=dict)
    tokens: dict[str, Tensor] = field(default_factory=dict)
    vector: dict[str, Tensor] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [name for f in fields(self) for name in getattr(self, f.name)]

    def map(self, function: Callable[[Tensor], Tensor]) -> Conditions:
        """The same record with `function` applied to every tensor."""
        return self._each(lambda kind, name, tensor: function(tensor))

    def without(self, names: Iterable[str]) -> Conditions:
        """The named conditions replaced by zeros, which is how dropped conditions are represented."""
        names = set(names)
        return self._each(lambda kind, name, x: x.new_zeros(x.shape) if name in names else x)

    def kept(self, masks: Mapping[str, Tensor]) -> Conditions:
        """The named conditions with zeros for the items whose mask (B,) bool is False."""
        return self._each(lambda kind, n, x: x * per_item(masks[n], x) if n in masks else x)

    def crop(self, start: int, stop: int) -> Conditions:
        """Frames [start, stop) of maps and frames; tokens and vector stay whole."""
        cut = {
            "maps": lambda x: x[..., start:stop],
            "frames": lambda x: x[:, start:stop],
        }
        return self._each(lambda kind, name, x: cut[kind](x) if kind in cut else x)

    def _each(self, function: Callable[[str, str, Tensor], Tensor]) -> Conditions:
        return Conditions(
            **{
                f.name: {n: function(f.name, n, x) for n, x in getattr(self, f.name).items()}
                for f in fields(self)
            }
        )
