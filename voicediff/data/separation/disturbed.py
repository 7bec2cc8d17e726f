"""The mixtures of a list under one disturbance of all videos, for measuring robustness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicediff.data.separation.augmentation import blurred, frozen, hidden, missing
from voicediff.data.separation.clips import read_clip
from voicediff.data.separation.dataset import Item, ListedMixtures
from voicediff.data.separation.mixtures import MixtureList
from voicediff.data.separation.talks import Prepared
from voicediff.diffusion.noise import item_seed
from voicediff.video.constants import FPS

Fault = Callable[
    [np.ndarray, np.ndarray, slice, np.random.Generator], tuple[np.ndarray, np.ndarray]
]


@dataclass(frozen=True)
class Condition:
    """One disturbance of all videos of a list, over their whole length.

    Attributes:
        fault: disturbance of the mouth crops, or None.
        shift: frames of 40 ms by which the video is late.
        face: whether there is an image of the face.
    """

    name: str
    title: str
    fault: Fault | None = None
    shift: int = 0
    face: bool = True


def _late(frames: int) -> Condition:
    ms = 1000 * frames // FPS
    title = f"{abs(ms)} ms {'late' if ms > 0 else 'early'}"
    return Condition(f"shift_{ms:+d}ms", title, shift=frames)


SHIFTS = (-10, -5, -3, -2, -1, 1, 2, 3, 5, 10)
ALIGNED = Condition("aligned", "as it is")
CONDITIONS = (
    ALIGNED,
    Condition("missing", "missing", missing, face=False),
    Condition("frozen", "frozen", frozen),
    Condition("occluded", "mouth occluded", hidden),
    Condition("blurred", "blurred", blurred),
    *map(_late, SHIFTS),
)


class DisturbedMixtures(ListedMixtures):
    """The mixtures of a list under a condition, with unchanged audio.

    Random choices (the frozen frame, the place of the box) follow from seed, mixture and speaker.
    """

    def __init__(
        self, clips: dict[str, Prepared], made: MixtureList, condition: Condition, seed: int = 0
    ):
        super().__init__(clips, made)
        self.condition, self.seed = condition, seed

    def item(self, index: int, seed: int) -> Item:
        item, condition = super().item(index, seed), self.condition
        for speaker, source in enumerate(self.mixtures[index].sources):
            mouth, valid = item["mouth"][speaker], item["valid"][speaker]
            if condition.shift:
                clip = self.clips[source.clip]
                mouth, valid = shown_late(
                    clip.path, source.start, len(valid), clip.entry.frames, condition.shift
                )
            if condition.fault is not None:
                draw = np.random.default_rng(
                    item_seed(self.seed, condition.name, item["utt"], speaker)
                )
                mouth, valid = condition.fault(mouth, valid, slice(None), draw)
            item["mouth"][speaker], item["valid"][speaker] = mouth, valid
            if not condition.face:
                item["face"][speaker] = 0
            item["blind"][speaker] = not valid.any()
        return item


def shown_late(
    path: str | Path, start: int, count: int, length: int, shift: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mouths (count, 96, 96) and validity (count,) `shift` frames late (or early).

    Beyond the ends of the clip of `length` frames the first or last frame is repeated.
    """
    frames = np.clip(np.arange(start - shift, start - shift + count), 0, length - 1)
    first = int(frames[0])
    clip = read_clip(path, first, int(frames[-1]) - first + 1)
    return clip.mouth[frames - first], clip.valid[frames - first]
