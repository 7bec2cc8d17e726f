"""What a task is to the trainer: a module, its data, its losses by target, and what it can show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.utils.data import Dataset

Batch = dict[str, Any]


@dataclass
class Losses:
    """The outcome of one target on one batch.

    loss: scalar to minimise, a *sum* over items and valid frames (the trainer divides by the
        count of the global batch, so that any split over processes gives the same gradient).
    terms: named scalars, sums as well, for the log.
    t, by_item: (B,) diffusion times and mean loss of each item, logged per bin of t.
    """

    loss: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    t: Tensor | None = None
    by_item: Tensor | None = None


@dataclass
class Preview:
    """What validation shows: scalars, pictures (H, W, 3) uint8 and sounds (N,) by name."""

    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    sounds: dict[str, np.ndarray] = field(default_factory=dict)
    sample_rate: int = 0


class Task(nn.Module, ABC):
    """Model, dataset and batch of one problem. Registered tasks take `assets: Path | None`.

    `assets` is the folder with everything besides weights that the model needs to be rebuilt
    (token list, statistics, feature settings); the trainer copies it into the experiment folder.
    Without it (`voicediff check`) the task stands on its defaults.
    """

    #: the target's name -> prefixes of the parameters it trains, e.g. {"encoder": ("text.", "pitch.")}
    targets: ClassVar[dict[str, tuple[str, ...]]]
    #: name of the sampled metric of `preview` that decides the best checkpoint; lower is better
    best: ClassVar[str]
    #: prefixes of weights that `begin` makes: no experiment to start from needs to have them
    begun: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def dataset(self, folder: Path, training: bool, options: dict[str, Any]) -> Dataset:
        """The map-style dataset of a prepared folder. `options` come from the phase's `data:`.

        It offers `item(index, seed)`, where every random choice (crop, mixing) follows `seed`, and
        `lengths`, a list of sizes in frames (read only where a phase sorts by length).
        """

    @staticmethod
    @abstractmethod
    def collate(items: list[Any], seeds: list[int]) -> Batch:
        """Pad items to a batch, on the CPU (the trainer moves tensors, also those in dataclasses).

        `batch["seeds"]` are the items' seeds for t and noise, `batch["utts"]` their names, which
        the trainer reports when a loss is not finite. It is static because workers receive it: with
        a method they would receive the model too.
        """

    @abstractmethod
    def count(self, batch: Batch) -> int:
        """Number of valid frames of the batch: what the summed losses are divided by."""

    @abstractmethod
    def forward(self, batch: Batch, target: str) -> Losses:
        """The losses of one target."""

    def begin(self, source: Path | None) -> None:
        """Called once, before the first step of a training, when the first weights are in.

        source: the experiment that they were taken from, if any.
        """

    @abstractmethod
    def preview(self, batches: list[Batch], sampler: Any, pictures: int) -> Preview:
        """Sample the given batches; metrics (among them `best`), pictures and sounds."""
