"""What goes wrong with videos of talking people, drawn for training: late, missing, frozen, hidden."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from voicediff.video.constants import HOP


@dataclass(frozen=True)
class VideoAugmentation:
    """How often and how much training disturbs each voice's video.

    Times are in frames of 40 ms; shares are probabilities per voice.

    Attributes:
        shift: sound and video of a voice are off by up to this much, always.
        late, late_share: in some voices by up to this much.
        jitter: frames are shown too early or too late by up to this much, slowly changing.
        missing, frozen: share of voices without any video, or with one that stands still.
        gaps: share of voices whose video is missing, frozen, hidden or blurred for a while.
        hidden, blurred: share of voices whose mouth is hidden, or out of focus, all the time.
        crop: pixels by which the mouth's crop is off. flip: mirror half of them.
        light: largest change of brightness and contrast, as a share.
        drop_face: share of voices without a picture of the face.
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
        """Frames of sound needed on either side for the largest shift."""
        return int(np.ceil(max(self.shift, self.late)))

    def of_mixture(self, draw: np.random.Generator) -> VideoAugmentation:
        """What goes wrong in one mixture: the same, or to all of its voices one thing."""
        kind = draw.random()
        if kind < self.drop_all / 2:
            return replace(self, missing=1.0)
        if kind < self.drop_all:
            return replace(self, missing=0.0, frozen=1.0)
        if kind < self.drop_all + self.occlude_all:
            return replace(self, missing=0.0, frozen=0.0, hidden=1.0)
        return self

    def draw_shift(self, draw: np.random.Generator) -> int:
        """By how many samples the sound comes later than its video says."""
        largest = self.late if draw.random() < self.late_share else self.shift
        return round(float(draw.uniform(-largest, largest)) * HOP)


def disturb(
    mouth: np.ndarray, valid: np.ndarray, faults: VideoAugmentation, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, bool]:
    """mouth (T, 96, 96) uint8, valid (T,) -> both disturbed, and whether nothing can be read in it."""
    frames = np.arange(len(mouth))
    if faults.jitter:
        frames = wobbling(len(mouth), faults.jitter, draw)
    mouth, valid = mouth[frames], valid[frames]
    mouth = look(mouth, faults, draw)
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


def wobbling(count: int, most: float, draw: np.random.Generator) -> np.ndarray:
    """Which frame is shown at each time, when the camera's clock wobbles: (count,) integers."""
    rate, phase = draw.uniform(0.01, 0.1), draw.uniform(0, 2 * np.pi)
    off = draw.uniform(0, most) * np.sin(2 * np.pi * rate * np.arange(count) + phase)
    return np.clip(np.rint(np.arange(count) + off), 0, count - 1).astype(int)


def look(mouth: np.ndarray, faults: VideoAugmentation, draw: np.random.Generator) -> np.ndarray:
    """Another crop, side and light, the same in all frames."""
    if faults.crop:
        x, y = draw.integers(-faults.crop, faults.crop + 1, 2)
        mouth = np.roll(mouth, (y, x), (1, 2))  # what rolls over is cut away by the network's crop
    if faults.flip and draw.random() < 0.5:
        mouth = mouth[:, :, ::-1]
    if faults.light:
        contrast, brightness = draw.uniform(-faults.light, faults.light, 2)
        table = (np.arange(256) - 128) * (1 + contrast) + 128 * (1 + brightness)
        flat = np.ascontiguousarray(mouth).reshape(len(mouth), -1)
        mouth = cv2.LUT(flat, np.clip(table, 0, 255).astype(np.uint8)).reshape(mouth.shape)
    return mouth


def missing(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """Not seen; the mask says so."""
    mouth, valid = mouth.copy(), valid.copy()
    mouth[where], valid[where] = 0, False
    return mouth, valid


def frozen(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """One frame is shown all the while; the mask does not know."""
    mouth = mouth.copy()
    mouth[where] = mouth[where][draw.integers(len(mouth[where]))]
    return mouth, valid


def hidden(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """A hand or a microphone before the mouth: a box of one grey."""
    mouth = mouth.copy()
    height, width = draw.integers(40, 97, 2)
    top, left = draw.integers(97 - height), draw.integers(97 - width)
    mouth[where, top : top + height, left : left + width] = draw.integers(256)
    return mouth, valid


def blurred(mouth, valid, where: slice, draw) -> tuple[np.ndarray, np.ndarray]:
    """Out of focus: a Gaussian of 2 to 10 pixels, as a product of matrices: so wide a filter takes OpenCV
    fifty times as long. Weights outside the picture fall to those inside.
    """
    mouth, width, side = mouth.copy(), draw.uniform(2, 10), np.arange(mouth.shape[1])
    spread = np.exp(-0.5 * ((side[:, None] - side) / width) ** 2).astype(np.float32)
    spread /= spread.sum(1, keepdims=True)
    pictures = mouth[where].astype(np.float32)
    for _ in range(2):  # all rows of all pictures in one product, then all columns
        rows = pictures.reshape(-1, len(side)) @ spread.T
        pictures = rows.reshape(pictures.shape).swapaxes(1, 2)
    mouth[where] = np.rint(pictures)
    return mouth, valid
