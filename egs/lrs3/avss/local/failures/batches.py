"""Batches of mixtures with the mouths of their speakers, sampled from the prepared mini LRS3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voicediff.data.separation.clips import as_float, read_clip
from voicediff.data.separation.mixtures import PROTOCOLS, SAME_VOICE, Drawer, Mixture, mix
from voicediff.data.separation.talks import Prepared, read_prepared
from voicediff.diffusion.noise import item_seed
from voicediff.video.constants import HOP

FRAMES = 51  # 2.04 s, of the warm-up and of the test list
CROP = 25  # frames of the mixtures of training


@dataclass
class Batch:
    """One row per speaker; the speakers of a mixture are adjacent.

    Attributes:
        mixture, target, other: (B, N); `other` is the other speaker of the mixture.
        mouth: (B, T, 96, 96) uint8.
        same: (B,) bool, whether both clips are of one person.
    """

    mixture: Tensor
    target: Tensor
    other: Tensor
    mouth: Tensor
    same: Tensor


class Loader:
    """Samples batches, determined by a seed."""

    def __init__(self, clips: dict[str, Prepared]):
        self.clips = clips
        entries = [c.entry for c in clips.values()]
        self.drawer = Drawer(entries, PROTOCOLS["own"], frames=CROP)

    @classmethod
    def of(cls, folder: Path) -> Loader:
        return cls(read_prepared(folder))

    def draw(self, seed: int, mixtures: int = 2) -> Batch:
        """Mixtures, cycling through the kinds of pairs."""
        pairs = self.drawer.pairs
        return self.batch(
            [
                self.drawer.draw(item_seed(seed, i), pairs[(seed + i) % len(pairs)])
                for i in range(mixtures)
            ]
        )

    def batch(self, mixtures: Sequence[Mixture]) -> Batch:
        items = [self._mixed(mixture) for mixture in mixtures]
        sounds, mouths = zip(*items, strict=True)
        sources = torch.from_numpy(np.stack([s.sources for s in sounds]))
        mixture = torch.from_numpy(np.stack([s.mixture for s in sounds]))
        same = torch.tensor([m.pair == SAME_VOICE for m in mixtures])
        return Batch(
            mixture=mixture.repeat_interleave(2, 0),
            target=sources.flatten(0, 1),
            other=sources.flip(1).flatten(0, 1),
            mouth=torch.from_numpy(np.concatenate(mouths)),
            same=same.repeat_interleave(2),
        )

    def video_start(self, sample: int) -> int:
        """The frame of video at a sample of sound."""
        return sample // HOP

    def _mixed(self, mixture: Mixture):
        clips = [
            read_clip(self.clips[s.clip].path, s.start, mixture.frames) for s in mixture.sources
        ]
        mouths = np.stack(
            [
                read_clip(
                    self.clips[s.clip].path, self.video_start(s.start * HOP), mixture.frames
                ).mouth
                for s in mixture.sources
            ]
        )
        return mix(mixture, clips), mouths


def talking(loader: Loader, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Single speakers for the warm-up: sound (B, N) and mouth (B, T, 96, 96)."""
    draw = np.random.default_rng(item_seed("talking", seed))
    long = [c for c in loader.clips.values() if c.entry.frames >= FRAMES]
    clips = []
    for index in draw.choice(len(long), count, replace=False):
        start = int(draw.integers(long[index].entry.frames - FRAMES + 1))
        clips.append(read_clip(long[index].path, start, FRAMES))
    sound = torch.from_numpy(np.stack([as_float(c.audio) for c in clips]))
    return sound, torch.from_numpy(np.stack([c.mouth for c in clips]))


def few(clips: dict[str, Prepared], people: int, each: int) -> dict[str, Prepared]:
    """The first `each` clips of the first `people`, half of them of each gender."""
    by_person: dict[str, list[str]] = {}
    for name, clip in sorted(clips.items()):
        if clip.entry.frames >= FRAMES:
            by_person.setdefault(clip.entry.speaker, []).append(name)
    gender = {c.entry.speaker: c.entry.gender for c in clips.values()}
    chosen = [
        person
        for g in ("m", "f")
        for person in [p for p in by_person if gender[p] == g][: people // 2]
    ]
    return {name: clips[name] for person in chosen for name in by_person[person][:each]}
