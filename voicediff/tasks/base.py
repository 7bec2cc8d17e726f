"""The interface between a task and the trainer: model, data, losses by optimisation target, preview."""

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
    """The losses of one optimisation target on one batch.

    loss: scalar to minimise, a *sum* over items and valid frames. The trainer divides by the number
        of frames of the global batch, so that any split over processes gives the same gradient.
    terms: named scalars, sums as well, for the log.
    t, by_item: (B,) diffusion times and mean loss of each item, logged per bin of t.
    """

    loss: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    t: Tensor | None = None
    by_item: Tensor | None = None


@dataclass
class Preview:
    """Results of validation: scalars, pictures (H, W, 3) uint8 and sounds (N,) by name."""

    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    sounds: dict[str, np.ndarray] = field(default_factory=dict)
    sample_rate: int = 0


class Task(nn.Module, ABC):
    """Model, dataset and batch of one problem. Registered tasks take `assets: Path | None`.

    `assets` is the folder with everything besides weights that the model needs to be rebuilt
    (token list, statistics, feature settings); the trainer copies it into the experiment folder.
    Without it (`voicediff check`) the task uses defaults.
    """

    #: optimisation target -> prefixes of the parameters it trains, e.g. {"encoder": ("text.", "pitch.")}
    targets: ClassVar[dict[str, tuple[str, ...]]]
    #: name of the metric of `preview` that selects the best checkpoint; lower is better
    best: ClassVar[str]
    #: prefixes of weights that `begin` sets; an experiment given as --init-from may lack them
    set_by_begin: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def dataset(self, folder: Path, training: bool, options: dict[str, Any]) -> Dataset:
        """The map-style dataset of a prepared folder. `options` come from the phase's `data:`.

        It has `item(index, seed)`, in which every random choice (crop, mixing) follows from `seed`,
        and `lengths`, a list of sizes in frames (used only if a phase sorts by length).
        """

    @staticmethod
    @abstractmethod
    def collate(items: list[Any], seeds: list[int]) -> Batch:
        """Pad items to a batch, on the CPU (the trainer moves tensors, also those in dataclasses).

        `batch["seeds"]` are the items' seeds for t and noise, `batch["utts"]` their names, which
        the trainer reports if a loss is not finite. Static, because it is sent to the workers: a
        bound method would send the model as well.
        """

    @abstractmethod
    def count(self, batch: Batch) -> int:
        """Number of valid frames of the batch, by which the summed losses are divided."""

    @abstractmethod
    def forward(self, batch: Batch, target: str) -> Losses:
        """The losses of one optimisation target (a key of `targets`)."""

    def begin(self, source: Path | None) -> None:
        """Called once before the first step of a training, after the initial weights are loaded.

        source: the experiment from which they were loaded, if any.
        """

    @abstractmethod
    def preview(self, batches: list[Batch], sampler: Any, pictures: int) -> Preview:
        """Sample the given batches: metrics (`best` among them), pictures and sounds."""
