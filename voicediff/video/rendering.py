"""A video for each person: the frames with a box around the face, and the separated track."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from voicediff.video.constants import FPS, HOP
from voicediff.video.faces import Boxes

_COLOUR = (60, 220, 90)
_HIGHEST = 720  # pixels: larger pictures are reduced


def write_marked(
    paths: Sequence[Path],
    pictures: Iterator[tuple[np.ndarray, bool]],
    faces: Sequence[Boxes],
    names: Sequence[str],
    sounds: Sequence[Path],
) -> None:
    """Write the videos at the same time, H.264 and AAC at 25 frames per second.

    Frames are decoded once and not kept in memory.
    """
    with ExitStack() as stack:
        writers: list[_Writer] = []
        for index, (image, _) in enumerate(pictures):
            image, scale = _small(image)
            if not writers:
                size = image.shape[1], image.shape[0]
                opened = zip(paths, sounds, strict=True)
                writers = [stack.enter_context(_Writer(*pair, size)) for pair in opened]
            for writer, face, name in zip(writers, faces, names, strict=True):
                writer.write(index, framed(image, face, index, scale, name))
        for writer in writers:
            writer.finish()


def framed(image: np.ndarray, face: Boxes, index: int, scale: float, name: str) -> np.ndarray:
    """A copy of the picture with a box around the face and the name, if the face is visible."""
    if index >= len(face.valid) or not face.valid[index]:
        return image
    image = image.copy()
    left, top, width, height = face.boxes[index] * scale
    thick = max(1, round(image.shape[0] / 200))
    corners = [(round(left), round(top)), (round(left + width), round(top + height))]
    cv2.rectangle(image, *corners, _COLOUR, thick)
    place = (corners[0][0], max(12, corners[0][1] - 2 * thick))
    size = image.shape[0] / 700
    cv2.putText(
        image, name, place, cv2.FONT_HERSHEY_SIMPLEX, size, _COLOUR, max(1, thick // 2), cv2.LINE_AA
    )
    return image


class _Writer:
    """An open video file: writes equal durations of sound and pictures, to limit memory."""

    def __init__(self, path: Path, sound: Path, size: tuple[int, int]):
        self.path, self.sound_path, self.size = path, sound, size

    def __enter__(self) -> _Writer:
        self.sound = wave.open(str(self.sound_path), "rb")
        self.container = av.open(str(self.path), "w", options={"movflags": "faststart"})
        self.picture = self.container.add_stream("libx264", rate=FPS)
        self.picture.width, self.picture.height = self.size
        self.picture.pix_fmt = "yuv420p"
        self.picture.options = {"crf": "21", "preset": "superfast"}
        self.voice = self.container.add_stream("aac", rate=self.sound.getframerate(), layout="mono")
        self.voice.bit_rate = 96000
        self.at = 0
        return self

    def __exit__(self, *error: object) -> None:
        self.sound.close()
        self.container.close()

    def write(self, index: int, image: np.ndarray) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        self.container.mux(self.picture.encode(frame))
        self._write_sound(HOP)

    def finish(self) -> None:
        """Write the sound after the last picture, and flush the encoders."""
        while self._write_sound(25 * HOP):
            pass
        self.container.mux(self.picture.encode())
        self.container.mux(self.voice.encode())

    def _write_sound(self, samples: int) -> int:
        data = np.frombuffer(self.sound.readframes(samples), "<i2")
        if len(data):
            rate = self.sound.getframerate()
            plane = (data[None] / np.float32(32768)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(plane, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, self.at, Fraction(1, rate)
            self.container.mux(self.voice.encode(frame))
            self.at += len(data)
        return len(data)


def _small(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture with at most 720 lines and even width and height (for H.264), and the scale."""
    scale = min(1.0, _HIGHEST / image.shape[0])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    return image[: height - height % 2, : width - width % 2], scale
