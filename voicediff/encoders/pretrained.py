"""Encoders whose weights may come from a file, and may stay as they are."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from voicediff.errors import DataError
from voicediff.importing.checkpoint import read_checkpoint, weights_of


class Pretrained(nn.Module):
    """A network with parts that a file of weights fills and that can be frozen.

    A constructor ends with `self._trust(weights, frozen)`. The file is read by `load_pretrained`,
    once, when a training begins: afterwards the experiment holds the weights and the file may go.
    Frozen parts are not trained and are in eval mode whatever the rest does: batch norms would
    otherwise follow the statistics of every small batch.
    """

    #: the submodules that a file must fill, and that `frozen` freezes; others are filled where
    #: the file has all of them
    pretrained: ClassVar[tuple[str, ...]]

    def _trust(self, weights: str, frozen: bool) -> None:
        """weights: path of a PyTorch or safetensors file, or ""; frozen: leave them as they are."""
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
        """Take the weights from the file, if one is named. Raises DataError where it does not fit."""
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
            raise DataError(f"{self.weights}: {self._complaint(wrong, found)}")
        for name, part in self.named_children():
            names = [f"{name}.{n}" for n in part.state_dict()]
            if all(n in fitting or n.endswith("num_batches_tracked") for n in names):
                part.load_state_dict(
                    {n: fitting.get(f"{name}.{n}", t) for n, t in part.state_dict().items()}
                )

    def _renamed(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The file's names as ours; encoders whose names differ say how."""
        return weights

    def _pretrained_parts(self) -> list[nn.Module]:
        return [getattr(self, name) for name in self.pretrained]

    def _prefixes(self) -> tuple[str, ...]:
        return tuple(f"{name}." for name in self.pretrained)

    def _complaint(self, wrong: list[str], found: dict[str, Tensor]) -> str:
        name = wrong[0]
        here = tuple(self.state_dict()[name].shape)
        there = f"is {tuple(found[name].shape)}" if name in found else "is missing"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"does not fit: {name} {there}, the encoder has {here}{more}"


def load_pretrained(model: nn.Module) -> list[str]:
    """Fill every pre-trained encoder of a new model from its file; returns the files' names."""
    encoders = [m for m in model.modules() if isinstance(m, Pretrained) and m.weights]
    with torch.no_grad():
        for encoder in encoders:
            encoder.load_pretrained()
    return [encoder.weights for encoder in encoders]
