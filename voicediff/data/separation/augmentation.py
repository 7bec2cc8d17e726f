"""Augmentation of talking-face videos: offset, missing, frozen, occluded and blurred ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from voicediff.video.constants import HOP


@dataclass(frozen=True)
class VideoAugmentation:
    """Probability and strength of each disturbance of a speaker's video in training.

    Times are in frames of 40 ms; shares are probabilities per speaker.

    Attributes:
        shift: largest offset between audio and video, of every speaker.
        late, late_share: a larger offset, and the share of speakers that have it.
        jitter: frames are shown too early or too late by up to this much, slowly changing.
        missing, frozen: share of speakers without video, or with one that repeats a single frame.
        gaps: share of speakers whose video is missing, frozen, hidden or blurred for part of the time.
        hidden, blurred: share of speakers whose mouth is occluded, or out of focus, all the time.
        crop: largest shift of the mouth crop in pixels. flip: mirror half of the videos.
        light: largest relative change of brightness and contrast.
        drop_face: share of speakers without an image of the face.
        drop_others: share of voices who are told nothing of the others' lips, as if those were out of sight.
        drop_all: share of mixtures in which all videos are missing, or all are frozen.
        occlude_all: share of mixtures in which all mouths are hidden, all the time.
    """

    shift: float = 0.0
    late: float = 0.0
    late_share: float = 0.0
    jitter: float = 0.0
    missing: float = 0.0
    frozen: float = 0.0
    gaps: float = 0.0
    hidden: float = 0.0
    blurred: float = 0.0
    crop: int = 0
    flip: bool = False
    light: float = 0.0
    drop_face: float = 0.0
    drop_others: float = 0.0
    drop_all: float = 0.0
    occlude_all: float = 0.0

    @property
    def reach(self) -> int:
        """Frames of audio needed on either side for the largest offset."""
        return int(np.ceil(max(self.shift, self.late)))

    def of_mixture(self, draw: np.random.Generator) -> VideoAugmentation:
        """The augmentation of one mixture: this one, or the same disturbance for all speakers."""
        kind = draw.random()
        if kind < self.drop_all / 2:
            return replace(self, missing=1.0)
        if kind < self.drop_all:
            return replace(self, missing=0.0, frozen=1.0)
        if kind < self.drop_all + self.occlude_all:
            return replace(self, missing=0.0, frozen=0.0, hidden=1.0)
        return self

    def draw_shift(self, draw: np.random.Generator) -> int:
        """Delay of the audio relative to the video in samples."""
        largest = self.late if draw.random() < self.late_share else self.shift
        return round(float(draw.uniform(-largest, largest)) * HOP)


def disturb(
    mouth: np.ndarray, valid: np.ndarray, faults: VideoAugmentation, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, bool]:
    """mouth (T, 96, 96) uint8 and valid (T,) after augmentation, and whether no frame is usable."""
    frames = np.arange(len(mouth))
    if faults.jitter:
        frames = jittered(len(mouth), faults.jitter, draw)
    mouth, valid = mouth[frames], valid[frames]
    mouth = change_look(mouth, faults, draw)
    which = draw.random()
    for share, fault in (
        (faults.missing, missing),
        (faults.frozen, frozen),
        (faults.hidden, hidden),
        (faults.blurred, blurred),
    ):
        if which < share:
            mouth, valid = fault(mouth, valid, slice(None), draw)
            return mouth, valid, fault in (missing, frozen)
        which -= share
    if draw.random() < faults.gaps:
        fault = (missing, frozen, hidden, blurred)[draw.integers(4)]
        length = int(draw.integers(3, max(4, len(mouth) // 2)))
        start = int(draw.integers(len(mouth) - length + 1))
        mouth, valid = fault(mouth, valid, slice(start, start + length), draw)
    return mouth, valid, False


def jittered(count: int, most: float, draw: np.random.Generator) -> np.ndarray:
    """Index of the frame at each time under slowly varying jitter of up to `most` frames: (count,)."""
    rate, phase = draw.uniform(0.01, 0.1), draw.uniform(0, 2 * np.pi)
    off = draw.uniform(0, most) * np.sin(2 * np.pi * rate * np.arange(count) + phase)
    return np.clip(np.rint(np.arange(count) + off), 0, count - 1).astype(int)


def change_look(
    mouth: np.ndarray, faults: VideoAugmentation, draw: np.random.Generator
) -> np.ndarray:
    """Shift, mirror and relight the crops, the same in all frames."""
    if faults.crop:
        x, y = draw.integers(-faults.crop, faults.crop + 1, 2)
        mouth = np.roll(mouth, (y, x), (1, 2))  # the wrapped border is outside the network's crop
    if faults.flip and draw.random() < 0.5:
        mouth = mouth[:, :, ::-1]
    if faults.light:
        contrast, brightness = draw.uniform(-faults.light, faults.light, 2)
        table = (np.arange(256) - 128) * (1 + contrast) + 128 * (1 + brightness)
        flat = np.ascontiguousarray(mouth).reshape(len(mouth), -1)
        mouth = cv2.LUT(flat, np.clip(table, 0, 255).astype(np.uint8)).reshape(mouth.shape)
    return mouth


def missing(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """No video; `valid` is False."""
    mouth, valid = mouth.copy(), valid.copy()
    mouth[where], valid[where] = 0, False
    return mouth, valid


def frozen(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """One frame is repeated; `valid` stays as it is."""
    mouth = mouth.copy()
    mouth[where] = mouth[where][draw.integers(len(mouth[where]))]
    return mouth, valid


def hidden(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """An occluded mouth, e.g. by a hand or a microphone: a box of one grey level."""
    mouth = mouth.copy()
    height, width = draw.integers(40, 97, 2)
    top, left = draw.integers(97 - height), draw.integers(97 - width)
    mouth[where, top : top + height, left : left + width] = draw.integers(256)
    return mouth, valid


def blurred(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """Out of focus: a Gaussian filter of 2 to 10 pixels, renormalised at the borders.

    As matrix products: OpenCV takes fifty times as long for such a wide filter.
    """
    mouth, width, side = mouth.copy(), draw.uniform(2, 10), np.arange(mouth.shape[1])
    spread = np.exp(-0.5 * ((side[:, None] - side) / width) ** 2).astype(np.float32)
    spread /= spread.sum(1, keepdims=True)
    pictures = mouth[where].astype(np.float32)
    for _ in range(2):  # all rows of all frames in one product, then all columns
        rows = pictures.reshape(-1, len(side)) @ spread.T
        pictures = rows.reshape(pictures.shape).swapaxes(1, 2)
    mouth[where] = np.rint(pictures)
    return mouth, valid
