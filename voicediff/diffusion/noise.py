"""Standard normal noise that depends on the item's seed alone: not on batch, padding or device."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

Noise = Callable[[Tensor], Tensor]
_MANY = 2**22  # numbers that are worth starting threads for


class SeededNoise:
    """A `Noise`: each call gives a fresh standard normal tensor like its argument (B, ..., T).

    Item b draws from a Philox stream keyed by (seeds[b], number of the call), in time-major order,
    so the first T frames are the same whatever the padding, the neighbours or the device.
    """

    def __init__(self, seeds: Sequence[int]):
        self.seeds = list(seeds)
        self.calls = 0

    def __call__(self, like: Tensor) -> Tensor:
        if like.shape[0] != len(self.seeds):
            raise ValueError(f"{len(self.seeds)} seeds for a batch of {like.shape[0]}")
        if like[0].numel() * len(self.seeds) < _MANY:
            items = [self._item(seed, like.shape[1:]) for seed in self.seeds]
        else:
            with ThreadPoolExecutor() as pool:  # NumPy draws outside the interpreter's lock
                items = list(pool.map(lambda seed: self._item(seed, like.shape[1:]), self.seeds))
        self.calls += 1
        return torch.stack(items).to(device=like.device, dtype=like.dtype)

    def _item(self, seed: int, shape: torch.Size) -> Tensor:
        key = np.array([seed % 2**64, self.calls], dtype=np.uint64)
        stream = np.random.Generator(np.random.Philox(key=key))
        drawn = stream.standard_normal((shape[-1], *shape[:-1]), dtype=np.float32)
        return torch.from_numpy(np.moveaxis(drawn, 0, -1).copy())


def item_seed(*parts: object) -> int:
    """A 63-bit seed from what identifies a draw, e.g. `item_seed(seed, epoch, utterance)`.

    CRC-based, so that it is the same in every process and on every machine (`hash` is not).
    """
    text = "/".join(map(str, parts)).encode()
    return (zlib.crc32(text) << 31) ^ zlib.crc32(text[::-1] + b"#")


class PlacedNoise:
    """A `Noise` for windows of one long x: what a frame gets depends on its place in the whole.

    Windows that overlap therefore start from the same noise where they overlap, and a deterministic
    sampler gives (nearly) the same there. `starts` are the first frames of the windows, (B,).
    """

    BLOCK = 64  # frames drawn at once

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
        drawn = np.empty((frames, *shape), np.float32)  # filled in place: sounds are long
        for block in range(start // self.BLOCK, -(-(start + frames) // self.BLOCK)):
            first = block * self.BLOCK - start
            inside = slice(max(first, 0), min(first + self.BLOCK, frames))
            drawn[inside] = self._block(block, shape)[inside.start - first : inside.stop - first]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(drawn, 0, -1)))

    def _block(self, block: int, shape: torch.Size) -> np.ndarray:
        key = np.array([self.seed % 2**64, self.calls], dtype=np.uint64)
        stream = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, block]))
        return stream.standard_normal((self.BLOCK, *shape), dtype=np.float32)
