"""The items of the batch of a step: a pure function of the seed and the step.

Training therefore resumes exactly, also within an epoch, and does not depend on the number of
workers or processes.
"""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError, DataError
from voicediff.registry import import_parts, imported_files
from voicediff.tasks.base import Batch, Task


@dataclass(frozen=True)
class SeededIndex:
    """Index of an item and the seed of its random choices (crop, t, noise)."""

    index: int
    seed: int


@dataclass(frozen=True)
class Order:
    """The infinite sequence of a phase's items: a new permutation in every epoch, cut into updates.

    The `size` items of an update may span two epochs, so that all updates have the same size.
    With `pool` > 1 the items of `pool` updates are sorted by `lengths` before they are cut, and
    these updates are shuffled.
    """

    seed: int
    phase: str
    items: int
    size: int
    pool: int = 1
    lengths: tuple[int, ...] = ()

    def update(self, number: int) -> list[SeededIndex]:
        """The items of update `number` of the phase, over all processes."""
        pool, place = divmod(number, self.pool)
        items = _pool(self, pool)
        return items[place * self.size : (place + 1) * self.size]

    def at(self, position: int) -> SeededIndex:
        """The item at a position of the sequence."""
        epoch, place = divmod(position, self.items)
        index = int(_permutation(self.seed, self.phase, epoch, self.items)[place])
        return SeededIndex(index, item_seed(self.seed, self.phase, epoch, index))


@lru_cache(maxsize=4)
def _permutation(seed: int, phase: str, epoch: int, items: int) -> np.ndarray:
    key = item_seed(seed, "order", phase, epoch)
    return np.random.Generator(np.random.Philox(key)).permutation(items)


@lru_cache(maxsize=2)
def _pool(order: Order, number: int) -> list[SeededIndex]:
    size = order.size * order.pool
    items = [order.at(position) for position in range(number * size, (number + 1) * size)]
    if order.pool == 1:
        return items
    items.sort(key=lambda item: order.lengths[item.index])
    key = item_seed(order.seed, "pool", order.phase, number)
    places = np.random.Generator(np.random.Philox(key)).permutation(order.pool)
    return [item for p in places for item in items[p * order.size : (p + 1) * order.size]]


def share(
    items: Sequence[SeededIndex], batches: int, process: int, processes: int
) -> list[list[SeededIndex]]:
    """The part of an update for one process: `batches` lists, every `processes`-th item of each."""
    size = len(items) // batches
    return [
        list(items[number * size : (number + 1) * size])[process::processes]
        for number in range(batches)
    ]


class SeededDataset(Dataset):
    """A task's dataset, indexed by `SeededIndex`, and its collate function.

    A DataError is returned as a value: workers would convert it to the text of a traceback.
    """

    def __init__(self, dataset: Dataset, collate: Callable[[list[Any], list[int]], Batch]):
        self.dataset, self._collate = dataset, collate

    def __getitem__(self, item: SeededIndex) -> tuple[Any, int] | DataError:
        try:
            return self.dataset.item(item.index, item.seed), item.seed
        except DataError as error:
            return error

    def collate(self, pairs: list[tuple[Any, int] | DataError]) -> Batch | DataError:
        """(item, seed) pairs -> a batch, or the first error among them."""
        for pair in pairs:
            if isinstance(pair, DataError):
                return pair
        items, seeds = zip(*pairs, strict=True)
        return self._collate(list(items), list(seeds))

    def __reduce__(self) -> tuple[Callable[..., SeededDataset], tuple[list[Path], bytes]]:
        """Pickle for a spawned worker, which has to import the user's files first."""
        try:
            content = pickle.dumps((self.dataset, self._collate))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"training.workers: the dataset or collate cannot be sent to a worker ({error}); "
                "set it to 0"
            ) from error
        return _unpickled, (imported_files(), content)


def _unpickled(files: list[Path], content: bytes) -> SeededDataset:
    for path in files:
        if path.stem not in sys.modules:
            import_parts([path.name], path.parent)
    return SeededDataset(*pickle.loads(content))


def load(
    task: Task, dataset: Dataset, batches: Iterable[list[SeededIndex]], workers: int
) -> Iterator[Batch]:
    """The collated batches in the order given, prepared by `workers` processes."""
    seeded = SeededDataset(dataset, task.collate)
    loader = DataLoader(
        seeded,
        batch_sampler=batches,
        collate_fn=seeded.collate,
        num_workers=workers,
        worker_init_fn=_ignore_signals,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),
    )
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def _ignore_signals(worker: int) -> None:
    """Leave signals to the training process, which stops its workers.

    Terminals and schedulers signal the whole process group; a worker that ended by itself would
    lose the batches of the current step.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
