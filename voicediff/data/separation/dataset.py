"""Datasets of separation: mixtures made at random for training, fixed lists otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from voicediff.audio.resampling import stretched
from voicediff.data.separation.augmentation import VideoAugmentation, disturb
from voicediff.data.separation.clips import Clip, read_clip
from voicediff.data.separation.mixtures import (
    ALONE,
    OTHER_VOICE,
    PROTOCOLS,
    SAME_VOICE,
    Drawer,
    Mixed,
    Mixture,
    MixtureList,
    draw_list,
    mix,
    read_list,
)
from voicediff.data.separation.talks import Prepared, read_prepared
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError
from voicediff.video.constants import HOP

Item = dict[str, Any]


@dataclass
class MixtureOptions:
    """The `data:` options of a training phase.

    Attributes:
        protocol: `own`, `avdiffuss` or `lrs3-2mix`: levels, kinds of pairs, length.
        pairs: kinds of pairs, by default the protocol's; a first phase may use only easy ones.
        frames: length in frames of 40 ms, by default the protocol's.
        num_speakers: speakers in a mixture; 1 is enhancement, and needs noise.
        noise: range of the level of pink noise in dB relative to the first speaker, or null.
        augmentation: replaces the task's in this phase. A first phase without missing or disturbed videos
            helps the network to use the lips; with them from the start it may return the
            unprocessed mixture for a long time.
        speed: largest relative change of the playback speed of audio and video, which also changes the
            pitch and so the number of distinct speakers. Two clips of one speaker get the same speed.
    """

    protocol: str = "own"
    pairs: list[str] = field(default_factory=list)
    frames: int | None = None
    num_speakers: int = 2
    noise: tuple[float, float] | None = None
    augmentation: VideoAugmentation | None = None
    speed: float = 0.0


class DrawnMixtures(Dataset):
    """Random mixtures of prepared clips; an item depends only on its index and seed."""

    def __init__(self, folder: Path, options: MixtureOptions, augmentation: VideoAugmentation):
        self.clips = read_prepared(folder)
        self.options = options
        self.augmentation = augmentation if options.augmentation is None else options.augmentation
        self.drawer = drawer_of(self.clips, options)
        self.pairs = pairs_of(self.drawer, options)
        self.lengths = [self.drawer.frames] * len(self)

    def __len__(self) -> int:
        """One epoch has as many mixtures as there are clips."""
        return len(self.clips)

    def item(self, index: int, seed: int) -> Item:
        pair = self.pairs[index % len(self.pairs)]
        mixture = self.drawer.draw(item_seed(seed, "draw"), pair, noise=self.options.noise)
        draw = np.random.default_rng(item_seed(seed, "video"))
        augmentation = self.augmentation.of_mixture(draw)
        clips, blind = [], []
        for source, speed in zip(mixture.sources, self._speeds(mixture, seed), strict=True):
            path, frames = self.clips[source.clip].path, self.clips[source.clip].entry.frames
            shift = augmentation.draw_shift(draw)
            clip = read_played(path, source.start, mixture.frames, frames, shift, speed)
            clip.mouth, clip.valid, unseen = disturb(clip.mouth, clip.valid, augmentation, draw)
            if draw.random() < augmentation.drop_face:
                clip.face = np.zeros_like(clip.face)
            clips.append(clip)
            blind.append(unseen)
        alone = draw.random(len(clips)) < augmentation.drop_others
        return as_item(mixture, mix(mixture, clips), blind) | {"alone": alone}

    def _speeds(self, mixture: Mixture, seed: int) -> np.ndarray:
        """Random speed of each speaker, limited by the length of the clip."""
        count, most = len(mixture.sources), self.options.speed
        draw = np.random.default_rng(item_seed(seed, "speed"))
        speeds = 1 + draw.uniform(-most, most, count)
        room = [self.clips[s.clip].entry.frames / mixture.frames for s in mixture.sources]
        if mixture.pair == SAME_VOICE:
            return np.full(count, min(speeds[0], *room))
        return np.minimum(speeds, room)


class ListedMixtures(Dataset):
    """The mixtures of a list, without augmentation."""

    def __init__(self, clips: dict[str, Prepared], made: MixtureList):
        self.clips, self.mixtures = clips, made.mixtures
        self.lengths = [mixture.frames for mixture in self.mixtures]

    def __len__(self) -> int:
        return len(self.mixtures)

    def item(self, index: int, seed: int) -> Item:
        mixture = self.mixtures[index]
        clips = [
            read_clip(self.clips[source.clip].path, source.start, mixture.frames)
            for source in mixture.sources
        ]
        return as_item(mixture, mix(mixture, clips), [not clip.valid.any() for clip in clips])


def listed(folder: Path, options: MixtureOptions) -> ListedMixtures:
    """The list of the protocol in a prepared folder; a new one where none fits."""
    clips = read_prepared(folder)
    path = folder / "lists" / f"{options.protocol}.json"
    made = read_list(path).only(clips) if path.is_file() else None
    if made is not None and all(len(m.sources) == options.num_speakers for m in made.mixtures):
        if options.pairs:
            kept = tuple(m for m in made.mixtures if m.pair in options.pairs)
            made = MixtureList(made.name, made.split, kept or made.mixtures)
    else:
        drawer = drawer_of(clips, options)
        made = draw_list(drawer, options.protocol, folder.name, 48, 0, options.noise)
    return ListedMixtures(clips, made)


def drawer_of(clips: dict[str, Prepared], options: MixtureOptions) -> Drawer:
    if options.protocol not in PROTOCOLS:
        raise ConfigError(
            f"data.protocol: no protocol {options.protocol!r}; choices: {', '.join(PROTOCOLS)}"
        )
    if options.num_speakers == 1 and options.noise is None:
        raise ConfigError("data.noise: one speaker needs noise; give a range like [-15, 0]")
    if not 0 <= options.speed < 1:
        raise ConfigError(
            f"data.speed: expected a share from 0 to less than 1, found {options.speed}"
        )
    entries = [clip.entry for clip in clips.values()]
    return Drawer(entries, PROTOCOLS[options.protocol], options.num_speakers, options.frames)


def pairs_of(drawer: Drawer, options: MixtureOptions) -> list[str]:
    """The kinds of pairs to alternate; without known genders, any two speakers."""
    wanted = options.pairs or list(drawer.protocol.pairs)
    found = [pair for pair in (*wanted, ALONE) if pair in drawer.pairs]
    if not found and OTHER_VOICE in drawer.pairs:
        found = [OTHER_VOICE]
    if not found:
        raise ConfigError(
            f"data.pairs: none of {', '.join(wanted)} can be drawn; these can: "
            f"{', '.join(drawer.pairs) or 'none'}"
        )
    return found


def read_played(
    path: Path, start: int, count: int, length: int, shift: int = 0, speed: float = 1.0
) -> Clip:
    """`count` frames of a clip of `length` frames, played `speed` times as fast from frame `start`, or
    an earlier one if the clip is too short; its audio is `shift` samples of the clip late.

    The shift is ignored where the clip does not contain the shifted audio.
    """
    span = min(length, math.ceil(count * speed))
    start = min(start, length - span)
    samples = min(round(count * HOP * speed), span * HOP)
    heard = start * HOP - shift
    if not 0 <= heard <= length * HOP - samples:
        heard = start * HOP
    first, last = min(start, heard // HOP), max(start + span, -(-(heard + samples) // HOP))
    clip = read_clip(path, first, last - first)
    heard -= first * HOP
    clip.audio = stretched(clip.audio[heard : heard + samples], count * HOP)
    shown = np.minimum(((np.arange(count) + 0.5) * speed).astype(int), span - 1) + start - first
    clip.mouth, clip.valid = clip.mouth[shown], clip.valid[shown]
    return clip


def as_item(mixture: Mixture, mixed: Mixed, blind: list[bool]) -> Item:
    return {
        "utt": mixture.id,
        "pair": mixture.pair,
        "mixture": mixed.mixture,
        "sources": mixed.sources,
        "mouth": mixed.mouth,
        "valid": mixed.valid,
        "face": mixed.face,
        "blind": np.array(blind),
    }


def collate_mixtures(items: list[Item], seeds: list[int]) -> dict[str, Any]:
    """A batch of items of S speakers, padded to the longest; `frames` (B,) are valid video frames."""
    frames = [item["valid"].shape[1] for item in items]
    longest = max(frames)

    def padded(name: str, axis: int, size: int) -> torch.Tensor:
        arrays = []
        for item in items:
            array = item[name]
            room = [(0, 0)] * array.ndim
            room[axis] = (0, size - array.shape[axis])
            arrays.append(np.pad(array, room) if room[axis][1] else array)
        return torch.from_numpy(np.stack(arrays))

    batch = {
        "utts": [item["utt"] for item in items],
        "seeds": seeds,
        "pairs": [item["pair"] for item in items],
        "mixture": padded("mixture", 0, longest * HOP),
        "sources": padded("sources", 1, longest * HOP),
        "mouth": padded("mouth", 1, longest),
        "valid": padded("valid", 1, longest),
        "face": torch.from_numpy(np.stack([item["face"] for item in items])),
        "blind": torch.from_numpy(np.stack([item["blind"] for item in items])),
        "frames": torch.tensor(frames),
    }
    if "alone" in items[0]:
        batch["alone"] = torch.from_numpy(np.stack([item["alone"] for item in items]))
    return batch
