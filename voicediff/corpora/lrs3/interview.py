"""Interviews: clips of the mini corpus side by side in one picture, at known places and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from voicediff.corpora.lrs3.corpus import FPS, HOP, MiniClip
from voicediff.corpora.lrs3.scene import FRAME, draw_frame
from voicediff.corpora.lrs3.speech import SAMPLE_RATE
from voicediff.video.crops import cut


@dataclass(frozen=True)
class Guest:
    """One talking person: a clip, its start and its position.

    Attributes:
        enters: frame of the interview in which the clip begins.
        place: left and top of the square in which the guest appears; size: its side, pixels.
        moves: pixels per frame by which it moves to the right.
        hidden: frames [start, end) of the interview in which the guest is invisible and silent.
        gain: of the speech, dB.
    """

    clip: MiniClip
    enters: int
    place: tuple[float, float]
    size: int = 200
    moves: float = 0.0
    hidden: tuple[tuple[int, int], ...] = ()
    gain: float = 0.0

    def visible(self, frames: int) -> np.ndarray:
        """(T,) bool."""
        present = np.zeros(frames, bool)
        present[self.enters : self.enters + len(self.clip)] = True
        for start, end in self.hidden:
            present[start:end] = False
        return present

    def left(self, frame: int) -> float:
        return self.place[0] + self.moves * (frame - self.enters)


@dataclass(frozen=True)
class Interview:
    """Guests in one picture; later ones in the list cover earlier ones.

    size: width and height of the picture.
    """

    guests: tuple[Guest, ...]
    frames: int
    size: tuple[int, int] = (640, 360)

    def picture(self, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        width, height = self.size
        shade = (
            np.linspace(70, 120, width)[None, :, None] + np.linspace(0, 25, height)[:, None, None]
        )
        image = np.broadcast_to(shade, (height, width, 3)).astype(np.uint8)
        for guest in self.guests:
            if guest.visible(self.frames)[frame]:
                drawn = draw_frame(guest.clip.scene, frame - guest.enters)
                tile = cut(drawn, np.array([0, 0, FRAME, FRAME]), guest.size)
                _paste(image, tile, round(guest.left(frame)), round(guest.place[1]))
        return image

    def pictures(self) -> Iterator[np.ndarray]:
        return (self.picture(frame) for frame in range(self.frames))

    def voices(self) -> np.ndarray:
        """The speech of each guest (S, T * 640) float32 at 16 kHz, zero while the guest is absent."""
        voices = np.zeros((len(self.guests), self.frames * HOP), np.float32)
        for voice, guest in zip(voices, self.guests, strict=True):
            sound = guest.clip.sound * np.float32(10 ** (guest.gain / 20))
            part = voice[guest.enters * HOP :][: len(sound)]
            part += sound[: len(part)]
            voice *= np.repeat(guest.visible(self.frames), HOP)
        return voices

    def mouths(self) -> np.ndarray:
        """Boxes around the mouths (S, T, 4), left, top, width, height; nan if not visible."""
        boxes = np.full((len(self.guests), self.frames, 4), np.nan)
        for own, guest in zip(boxes, self.guests, strict=True):
            scale = guest.size / FRAME
            for frame in np.flatnonzero(guest.visible(self.frames)):
                own[frame] = guest.clip.boxes[frame - guest.enters] * scale
                own[frame, :2] += guest.left(frame), guest.place[1]
        return boxes


def write_interview(
    path: str | Path,
    interview: Interview,
    rate: int = SAMPLE_RATE,
    channels: int = 1,
    times: np.ndarray | None = None,
    sound: bool = True,
) -> None:
    """An H.264 and AAC video of the pictures and of the sum of the guests' speech.

    Args:
        rate, channels: of the sound; all channels are equal.
        times: time stamps (T,) of the pictures in seconds, for a variable frame rate.
        sound: whether to add an audio stream.
    """
    times = np.arange(interview.frames) / FPS if times is None else times
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS)
        picture.width, picture.height = interview.size
        picture.pix_fmt, picture.options = "yuv420p", {"crf": "18", "preset": "ultrafast"}
        picture.codec_context.time_base = Fraction(1, 1000)
        voice = _sound_stream(container, rate, channels) if sound else None
        for time in times:
            image = interview.picture(min(int(time * FPS + 1e-6), interview.frames - 1))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        if voice is not None:
            _write_sound(container, voice, interview.voices().sum(0))


def _sound_stream(container: av.container.OutputContainer, rate: int, channels: int):
    layout = "mono" if channels == 1 else "stereo"
    stream = container.add_stream("aac", rate=rate, layout=layout)
    stream.bit_rate = 96000
    return stream


def _write_sound(container: av.container.OutputContainer, voice, mixture: np.ndarray) -> None:
    samples = av.AudioFrame.from_ndarray(mixture[None], format="fltp", layout="mono")
    samples.sample_rate, samples.pts = SAMPLE_RATE, 0
    samples.time_base = Fraction(1, SAMPLE_RATE)
    layout = voice.layout.name
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=voice.sample_rate)
    for part in [*resampler.resample(samples), *resampler.resample(None)]:
        container.mux(voice.encode(part))
    container.mux(voice.encode())


def _paste(image: np.ndarray, tile: np.ndarray, left: int, top: int) -> None:
    """Paste a tile into the picture, clipped at its edges."""
    height, width = image.shape[:2]
    x, y = slice(max(left, 0), min(left + len(tile[0]), width)), slice(max(top, 0), top + len(tile))
    if x.start < x.stop and y.start < height:
        part = image[y, x]
        part[:] = tile[y.start - top :, x.start - left :][: part.shape[0], : part.shape[1]]
