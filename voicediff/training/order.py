"""Which items make the batch of a step: a pure function of the seed and the step.

So training goes on exactly where it stopped, in mid-epoch too, and does not depend on the number
of workers or processes.
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
class Draw:
    """An item of a batch and the seed of everything random about it: crop, t, noise."""

    index: int
    seed: int


@dataclass(frozen=True)
class Order:
    """The endless stream of a phase's items: every epoch a new permutation, cut into updates.

    An update's `size` items may lie across the end of an epoch, so that no update is smaller.
    With `pool` > 1 the items of so many updates are sorted by `lengths` before they are cut, and
    these updates shuffled.
    """

    seed: int
    phase: str
    items: int
    size: int
    pool: int = 1
    lengths: tuple[int, ...] = ()

    def update(self, number: int) -> list[Draw]:
        """The items of update `number` of the phase, over all processes."""
        pool, place = divmod(number, self.pool)
        draws = _pool(self, pool)
        return draws[place * self.size : (place + 1) * self.size]

    def draw(self, position: int) -> Draw:
        """The item at a position of the stream."""
        epoch, place = divmod(position, self.items)
        index = int(_permutation(self.seed, self.phase, epoch, self.items)[place])
        return Draw(index, item_seed(self.seed, self.phase, epoch, index))


@lru_cache(maxsize=4)
def _permutation(seed: int, phase: str, epoch: int, items: int) -> np.ndarray:
    key = item_seed(seed, "order", phase, epoch)
    return np.random.Generator(np.random.Philox(key)).permutation(items)


@lru_cache(maxsize=2)
def _pool(order: Order, number: int) -> list[Draw]:
    size = order.size * order.pool
    draws = [order.draw(position) for position in range(number * size, (number + 1) * size)]
    if order.pool == 1:
        return draws
    draws.sort(key=lambda draw: order.lengths[draw.index])
    key = item_seed(order.seed, "pool", order.phase, number)
    places = np.random.Generator(np.random.Philox(key)).permutation(order.pool)
    return [draw for p in places for draw in draws[p * order.size : (p + 1) * order.size]]


def share(draws: Sequence[Draw], batches: int, process: int, processes: int) -> list[list[Draw]]:
    """What one process computes of an update: `batches` lists, every `processes`-th item of each."""
    size = len(draws) // batches
    return [
        list(draws[number * size : (number + 1) * size])[process::processes]
        for number in range(batches)
    ]


class Drawn(Dataset):
    """A task's dataset, indexed by draws, and how its items become a batch.

    A DataError is handed on as a value: workers would wrap it into the text of a traceback.
    """

    def __init__(self, dataset: Dataset, collate: Callable[[list[Any], list[int]], Batch]):
        self.dataset, self._collate = dataset, collate

    def __getitem__(self, draw: Draw) -> tuple[Any, int] | DataError:
        try:
            return self.dataset.item(draw.index, draw.seed), draw.seed
        except DataError as error:
            return error

    def collate(self, pairs: list[tuple[Any, int] | DataError]) -> Batch | DataError:
        """Items with their seeds -> a batch; where one is an error, that error."""
        for pair in pairs:
            if isinstance(pair, DataError):
                return pair
        items, seeds = zip(*pairs, strict=True)
        return self._collate(list(items), list(seeds))

    def __reduce__(self) -> tuple[Callable[..., Drawn], tuple[list[Path], bytes]]:
        """To a worker that is started anew: it has yet to import the user's files."""
        try:
            content = pickle.dumps((self.dataset, self._collate))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"training.workers: the dataset or collate cannot be sent to a worker ({error}); "
                "set it to 0"
            ) from error
        return _unpickled, (imported_files(), content)


def _unpickled(files: list[Path], content: bytes) -> Drawn:
    for path in files:
        if path.stem not in sys.modules:
            import_parts([path.name], path.parent)
    return Drawn(*pickle.loads(content))


def load(
    task: Task, dataset: Dataset, batches: Iterable[list[Draw]], workers: int
) -> Iterator[Batch]:
    """The collated batches in the order given, prepared by `workers` processes."""
    drawn = Drawn(dataset, task.collate)
    loader = DataLoader(
        drawn,
        batch_sampler=batches,
        collate_fn=drawn.collate,
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
    """The training process decides when to stop, and tells its workers.

    Terminals and schedulers signal the whole group, and a worker that ended would take the step's
    batches with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
