"""Standard normal noise that depends only on the seed of the item, not on batch, padding or device."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

Noise = Callable[[Tensor], Tensor]
_THREADED_FROM = 2**22  # numbers; for fewer, starting threads takes longer than sampling


class SeededNoise:
    """A `Noise`: each call returns a new standard normal tensor like its argument (B, ..., T).

    Item b uses a Philox stream with the key (seeds[b], number of the call), in time-major order, so
    its first T frames do not depend on padding, on the other items or on the device.

    >>> import torch
    >>> long, short = torch.zeros(2, 3, 8), torch.zeros(1, 3, 5)
    >>> torch.equal(SeededNoise([7, 1])(long)[0, :, :5], SeededNoise([7])(short)[0])
    True
    """

    def __init__(self, seeds: Sequence[int]):
        self.seeds = list(seeds)
        self.calls = 0

    def __call__(self, like: Tensor) -> Tensor:
        if like.shape[0] != len(self.seeds):
            raise ValueError(f"{len(self.seeds)} seeds for a batch of {like.shape[0]}")
        if like[0].numel() * len(self.seeds) < _THREADED_FROM:
            items = [self._item(seed, like.shape[1:]) for seed in self.seeds]
        else:
            with ThreadPoolExecutor() as pool:  # NumPy releases the GIL
                items = list(pool.map(lambda seed: self._item(seed, like.shape[1:]), self.seeds))
        self.calls += 1
        return torch.stack(items).to(device=like.device, dtype=like.dtype)

    def _item(self, seed: int, shape: torch.Size) -> Tensor:
        key = np.array([seed % 2**64, self.calls], dtype=np.uint64)
        stream = np.random.Generator(np.random.Philox(key=key))
        drawn = stream.standard_normal((shape[-1], *shape[:-1]), dtype=np.float32)
        return torch.from_numpy(np.moveaxis(drawn, 0, -1).copy())


def item_seed(*parts: object) -> int:
    """A 63-bit seed from identifying values, e.g. `item_seed(seed, epoch, utterance)`.

    Based on CRC-32, so it is the same in every process and on every machine (`hash` is not).
    """
    text = "/".join(map(str, parts)).encode()
    return (zlib.crc32(text) << 31) ^ zlib.crc32(text[::-1] + b"#")


class PlacedNoise:
    """A `Noise` for windows of one long x: the noise of a frame depends on its position in x.

    Overlapping windows therefore get equal noise where they overlap, and a deterministic sampler
    gives nearly equal results there. `starts` are the first frames of the windows, (B,).
    """

    BLOCK = 64  # frames per random stream

    def __init__(self, seed: int, starts: Sequence[int]):
        self.seed, self.starts = seed, list(starts)
        self.calls = 0

    def __call__(self, like: Tensor) -> Tensor:
        if like.shape[0] != len(self.starts):
            raise ValueError(f"{len(self.starts)} windows for a batch of {like.shape[0]}")
        frames = like.shape[-1]
        items = [self._window(start, frames, like.shape[1:-1]) for start in self.starts]
        self.calls += 1
        noise = items[0][None] if len(items) == 1 else torch.stack(items)
        return noise.to(device=like.device, dtype=like.dtype)

    def _window(self, start: int, frames: int, shape: torch.Size) -> Tensor:
        drawn = np.empty((frames, *shape), np.float32)  # filled in place to save memory
        for block in range(start // self.BLOCK, -(-(start + frames) // self.BLOCK)):
            first = block * self.BLOCK - start
            inside = slice(max(first, 0), min(first + self.BLOCK, frames))
            drawn[inside] = self._block(block, shape)[inside.start - first : inside.stop - first]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(drawn, 0, -1)))

    def _block(self, block: int, shape: torch.Size) -> np.ndarray:
        key = np.array([self.seed % 2**64, self.calls], dtype=np.uint64)
        stream = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, block]))
        return stream.standard_normal((self.BLOCK, *shape), dtype=np.float32)
