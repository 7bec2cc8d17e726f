"""A recording of any length: sound in a file on disk, frames decoded one by one, repeatedly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from voicediff.audio.wav import require_complete
from voicediff.errors import DataError
from voicediff.video.constants import FACE, HOP, MOUTH, SAMPLE_RATE
from voicediff.video.crops import cut
from voicediff.video.disk_array import DiskArray
from voicediff.video.faces import FaceDetector
from voicediff.video.people import Person
from voicediff.video.reading import (
    MISSING,
    Truncated,
    begin_of,
    has_video,
    promised_seconds,
    read_frames,
    stream_sound,
)


@dataclass
class Footage:
    """A part of a video or sound file; frame k corresponds to samples [640 k, 640 (k + 1)).

    Attributes:
        path: the file; begin: time stamp of the start of the part, seconds.
        sound: (N,) float32 mono at 16 kHz.
        moving: whether there is a video stream.
        troubles: what is wrong with the file although a part of it could be read.
    """

    path: Path
    begin: float
    sound: DiskArray
    moving: bool
    troubles: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Duration of the sound in frames; the last one may be incomplete."""
        return -(-len(self.sound) // HOP)

    @property
    def seconds(self) -> float:
        return len(self.sound) / SAMPLE_RATE

    def pictures(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Each frame (H, W, 3) uint8 RGB, and whether it is real; fewer than `frames` if the video ends."""
        try:
            yield from islice(read_frames(self.path, self.begin), self.frames)
        except Truncated as error:
            self.trouble(error)

    def trouble(self, error: DataError) -> None:
        """Remember what is wrong with the file, once."""
        if str(error) not in self.troubles:
            self.troubles.append(str(error))


@dataclass
class Cut:
    """Input of a model for one person: mouths (T, 96, 96), valid frames (T,), a face (224, 224, 3)."""

    mouth: DiskArray | np.ndarray
    valid: np.ndarray
    face: np.ndarray


def open_footage(path: str | Path, start: float = 0.0, end: float | None = None) -> Footage:
    """Read the sound of seconds [start, end) of a file. Raises DataError without sound."""
    path = Path(path)
    begin = begin_of(path) + start
    footage = Footage(path, begin, DiskArray((), np.float32), has_video(path))
    most = np.inf if end is None else round((end - start) * SAMPLE_RATE)
    try:
        for piece in stream_sound(path, begin):
            footage.sound.append(piece[: int(min(len(piece), most - len(footage.sound)))])
            if len(footage.sound) >= most:
                break
    except Truncated as error:
        footage.trouble(error)
    if len(footage.sound) == 0:
        after = f" after {start:g} s" if start else ""
        raise DataError(f"{path}: has no sound{after} (0 s)")
    if end is None:
        _check_length(footage, start)
    return footage


def _check_length(footage: Footage, start: float) -> None:
    """Add a warning if the file should be longer than its sound."""
    try:
        require_complete(footage.path)
    except DataError as error:
        footage.trouble(error)
    promised, found = promised_seconds(footage.path), start + footage.seconds
    if promised is not None and promised - found > MISSING:
        words = f"truncated: {promised:.2f} s expected, {found:.2f} s of sound found"
        footage.trouble(DataError(f"{footage.path}: {words}"))


def cut_people(pictures: Iterator[tuple[np.ndarray, bool]], people: Sequence[Person]) -> list[Cut]:
    """Cut mouths and faces frame by frame; each face from the middle of its visible frames."""
    cuts = [
        Cut(DiskArray((MOUTH, MOUTH), np.uint8), p.mouth.valid, np.zeros((FACE, FACE, 3), np.uint8))
        for p in people
    ]
    middles = [_middle(person.face.valid) for person in people]
    for index, (image, _) in enumerate(pictures):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        for person, own, middle in zip(people, cuts, middles, strict=True):
            mouth = np.zeros((MOUTH, MOUTH), np.uint8)
            if index < len(own.valid) and own.valid[index]:
                mouth = cut(grey, person.mouth.boxes[index], MOUTH)
            if index < len(own.valid):
                own.mouth.append(mouth[None])
            if index == middle:
                own.face = cut(image, person.face.boxes[index], FACE)
    return cuts


def pictured(path: str | Path, detector: FaceDetector) -> Cut:
    """A person given by a still picture: the largest face in it, else the centre square."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: not a picture that can be read")
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    found = detector(image)
    height, width = image.shape[:2]
    side = min(height, width)
    box = np.array([(width - side) / 2, (height - side) / 2, side, side])
    if len(found):
        box = found[np.argmax(found[:, 2]), :4]
    return Cut(np.zeros((0, MOUTH, MOUTH), np.uint8), np.zeros(0, bool), cut(image, box, FACE))


def _middle(valid: np.ndarray) -> int:
    visible = np.flatnonzero(valid)
    return int(visible[len(visible) // 2]) if len(visible) else -1
