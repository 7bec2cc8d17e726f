"""Editing of a sung song: keep a part of a recording and sing the rest anew.

The mel of the kept part conditions the sampler (inpainting, `guidance.Known`), so that the new part
joins it smoothly; in the result the kept samples are copied, with short cross-fades.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from voicediff.audio import MelSpec, log_mel, read_wav
from voicediff.errors import ConfigError
from voicediff.tasks.svs.inference import Kept


@dataclass
class Recording:
    """A recording of the song and the seconds [start, stop) of it that are kept.

    Args:
        wav: (N,) at the rate of `spec`.
        kept: spans in seconds.
        fade: seconds over which kept and new sound are mixed, inside what is kept.
    """

    wav: np.ndarray
    spec: MelSpec
    kept: list[tuple[float, float]]
    fade: float = 0.02

    def __post_init__(self):
        self.mel = log_mel(torch.from_numpy(self.wav), self.spec)  # (F, T)
        self.where = torch.zeros(self.mel.shape[1], dtype=torch.bool)
        for start, stop in self.kept:
            self.where[round(start * self.spec.frame_rate) : round(stop * self.spec.frame_rate)] = 1

    @classmethod
    def read(cls, path: Path, spec: MelSpec, start: float, stop: float, inside: bool) -> Recording:
        """Keep seconds [start, stop) of a sound file (`inside`), or all others. Raises ConfigError."""
        wav, _ = read_wav(path, spec.sample_rate)
        seconds = len(wav) / spec.sample_rate
        if not 0 <= start < stop <= seconds:
            raise ConfigError(
                f"--from {start:g} --to {stop:g}: not a part of {path} ({seconds:.2f} s)"
            )
        outside = [(a, b) for a, b in ((0.0, start), (stop, seconds)) if a < b]
        return cls(wav, spec, [(start, stop)] if inside else outside)

    def window(self, first: int, size: int) -> Kept:
        """The kept part of frames [first, first + size) of the song, as a batch of one."""
        mel = torch.zeros(1, self.mel.shape[0], size)
        where = torch.zeros(1, size, dtype=torch.bool)
        part = self.mel[:, first : first + size]
        mel[0, :, : part.shape[1]] = part
        where[0, : part.shape[1]] = self.where[first : first + size]
        return Kept(mel, where)

    def restored(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Consecutive pieces of the new song, with the kept samples copied into them."""
        done = 0
        for piece in pieces:
            places = np.arange(done, done + len(piece))
            weight = self._weight(places)
            old = self.wav[done : done + len(piece)]
            weight[len(old) :] = 0
            old = np.pad(old, (0, len(piece) - len(old)))
            yield (piece + weight * (old - piece)).astype(np.float32)
            done += len(piece)

    def _weight(self, places: np.ndarray) -> np.ndarray:
        """Weight of the recording at sample numbers: 1 where it is kept, ramps at inner borders."""
        rate, end = self.spec.sample_rate, len(self.wav)
        weight = np.zeros(len(places))
        for start, stop in self.kept:
            first, last = round(start * rate), round(stop * rate)
            rise = (places - first + 1) / (self.fade * rate) if first > 0 else 1.0
            fall = (last - places) / (self.fade * rate) if last < end else 1.0
            inside = (places >= first) & (places < last)
            weight = np.where(inside, np.clip(np.minimum(rise, fall), 0, 1), weight)
        return weight
