"""Encoders with pretrained weights from a file, optionally frozen."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from voicediff.errors import DataError
from voicediff.importing.checkpoint import read_checkpoint, weights_of


class Pretrained(nn.Module):
    """A network with submodules that can be loaded from a weights file and frozen.

    A constructor ends with `self._set_pretrained(weights, frozen)`. `load_pretrained` reads the file
    once, at the start of training; the experiment then contains the weights and the file is no
    longer needed. Frozen submodules are not trained and stay in eval mode, since batch norms would
    otherwise adapt to the statistics of small batches.
    """

    #: submodules that the file must contain and that `frozen` freezes; others are loaded if the file
    #: contains all of their weights
    pretrained: ClassVar[tuple[str, ...]]

    def _set_pretrained(self, weights: str, frozen: bool) -> None:
        """weights: path of a PyTorch or safetensors file, or ""; frozen: whether not to train them."""
        self.weights, self.frozen = weights, frozen
        for part in self._pretrained_parts():
            part.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Pretrained:
        super().train(mode)
        if self.frozen:
            for part in self._pretrained_parts():
                part.eval()
        return self

    def load_pretrained(self) -> None:
        """Load the weights from the file, if one is configured. DataError where it does not fit."""
        if not self.weights:
            return
        content = read_checkpoint(self.weights)
        if isinstance(content.get("model_state_dict"), dict):
            content = {"state_dict": content["model_state_dict"]}
        found = self._renamed(weights_of(content, False, self.weights))
        own = self.state_dict()
        fitting = {n: t for n, t in found.items() if n in own and own[n].shape == t.shape}
        wrong = [n for n in own if n.startswith(self._prefixes()) and n not in fitting]
        wrong = [n for n in wrong if not n.endswith("num_batches_tracked")]
        if wrong:
            raise DataError(f"{self.weights}: {self._mismatch(wrong, found)}")
        for name, part in self.named_children():
            names = [f"{name}.{n}" for n in part.state_dict()]
            if all(n in fitting or n.endswith("num_batches_tracked") for n in names):
                part.load_state_dict(
                    {n: fitting.get(f"{name}.{n}", t) for n, t in part.state_dict().items()}
                )

    def _renamed(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights under the names used here; encoders with other names override it."""
        return weights

    def _pretrained_parts(self) -> list[nn.Module]:
        return [getattr(self, name) for name in self.pretrained]

    def _prefixes(self) -> tuple[str, ...]:
        return tuple(f"{name}." for name in self.pretrained)

    def _mismatch(self, wrong: list[str], found: dict[str, Tensor]) -> str:
        name = wrong[0]
        here = tuple(self.state_dict()[name].shape)
        there = f"is {tuple(found[name].shape)}" if name in found else "is missing"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"does not fit: {name} {there}, the encoder has {here}{more}"


def load_pretrained(model: nn.Module) -> list[str]:
    """Load every pretrained encoder of a new model from its file; returns the paths of the files."""
    encoders = [m for m in model.modules() if isinstance(m, Pretrained) and m.weights]
    with torch.no_grad():
        for encoder in encoders:
            encoder.load_pretrained()
    return [encoder.weights for encoder in encoders]
