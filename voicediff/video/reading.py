"""Reading videos: 25 frames per second and 16 kHz sound on one time axis, by time stamps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr

from voicediff.errors import DataError
from voicediff.video.constants import FPS, HOP, SAMPLE_RATE

_GAP = 0.02  # s: sound whose time stamp differs by more is moved to its time stamp
_HOLD = 0.5  # s: how long a picture is repeated for the frames that follow it
MISSING = 0.5  # s: a file whose content is shorter than its stated duration by more is truncated


class Truncated(DataError):
    """The file is truncated; the content before that point is valid."""


@dataclass
class Recording:
    """T frames and their sound; frame k corresponds to samples [640 k, 640 (k + 1)).

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        shown: (T,) bool, False if the video has no picture (late start, early end, gap).
        audio: (T * 640,) float32 mono at 16 kHz, zero if the file has no sound at that time.
    """

    frames: np.ndarray
    shown: np.ndarray
    audio: np.ndarray


def read_recording(path: str | Path, audio_path: str | Path | None = None) -> Recording:
    """Read a whole clip, cut to the frames with pictures (AAC returns more sound).

    Args:
        audio_path: the file with the sound, if not the video file (VoxCeleb2); both start at 0.

    Raises DataError, in one line, for a file that is missing, unreadable or truncated, has no
    video or no sound, or lasts less than one frame.
    """
    audio, begin = read_sound(path) if audio_path is None else (read_sound(audio_path)[0], None)
    pictures = [(image, shown) for image, shown in read_frames(path, begin)]
    frames = min(len(pictures), -(-len(audio) // HOP))  # at most a frame of silence is added
    if frames == 0:
        raise DataError(f"{path}: lasts less than one frame ({1000 // FPS} ms)")
    audio = np.pad(audio[: frames * HOP], (0, max(0, frames * HOP - len(audio))))
    return Recording(
        frames=np.stack([image for image, _ in pictures[:frames]]),
        shown=np.array([shown for _, shown in pictures[:frames]]),
        audio=audio,
    )


def read_sound(path: str | Path) -> tuple[np.ndarray, float]:
    """The sound of a file, (N,) float32 mono at 16 kHz, and its start time.

    The start time is the smaller of the time stamps of the first picture and the first sample, in
    seconds; sound that starts later is preceded by silence. Raises DataError (see `read_recording`).
    """
    begin = begin_of(path)
    return np.concatenate(list(stream_sound(path, begin))), begin


def begin_of(path: str | Path) -> float:
    """The smaller of the time stamps of the first picture and the first sample, in seconds.

    Raises DataError for a file without sound.
    """
    with _opened(path) as container:
        for frame in _sound_frames(container, path):
            time = float(frame.pts * frame.time_base)
            return min(time, _video_start(container, default=time))
    raise DataError(f"{path}: its audio stream is empty (0 s)")


def stream_sound(path: str | Path, begin: float) -> Iterator[np.ndarray]:
    """The sound from time `begin` on in consecutive pieces (n,), float32 mono at 16 kHz.

    Raises Truncated after the last piece if the file is truncated or damaged.
    """
    cut_short = None
    with _opened(path) as container:
        rate, resampler, position = None, None, 0
        first = last = None
        try:
            for frame in _sound_frames(container, path):
                rate = rate or frame.sample_rate
                if frame.sample_rate != rate:
                    raise DataError(
                        f"{path}: its sample rate changes in the middle; convert it first"
                    )
                resampler = resampler or soxr.ResampleStream(rate, SAMPLE_RATE, 1)
                last = float(frame.pts * frame.time_base)
                first = last if first is None else first
                samples = _placed(_mono(frame), round((last - begin) * rate), position, rate)
                position += len(samples)
                yield resampler.resample_chunk(samples)
            promised = _promised(container.streams.audio[0])
            if first is not None and promised is not None and promised - (last - first) > MISSING:
                cut_short = Truncated(
                    f"{path}: truncated: {promised:.2f} s of sound expected, "
                    f"{position / rate:.2f} s found"
                )
        except Truncated as error:
            cut_short = error
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if cut_short is not None:
        raise cut_short


def has_video(path: str | Path) -> bool:
    """Whether a file has a video stream. Raises DataError if it cannot be read."""
    with _opened(path) as container:
        return _moving(container) is not None


def promised_seconds(path: str | Path) -> float | None:
    """Stated duration of a Matroska file in s; other formats state it by stream or not at all: None."""
    with _opened(path) as container:
        if "matroska" not in container.format.name or container.duration is None:
            return None
        return container.duration / av.time_base


def read_frames(path: str | Path, begin: float | None = None) -> Iterator[tuple[np.ndarray, bool]]:
    """Frames at 25 per second one by one, each (H, W, 3) uint8 RGB and whether it is real.

    Frame k lasts from begin + k / 25 to begin + (k + 1) / 25 and holds the picture displayed at its
    middle: the newest one by time stamp, for any frame rate of the stream. `begin` defaults to the
    time of the first picture. Raises DataError (see `read_recording`), Truncated after the last
    picture.
    """
    with _opened(path) as container:
        stream = _moving(container)
        if stream is None:
            raise DataError(f"{path}: has no video; give a recording with a video stream")
        stream.thread_type = "AUTO"
        index, shown, last, first = 0, None, 0.0, None
        for frame in _decoded(container, stream, path):
            if frame.pts is None:
                continue
            time = float(frame.pts * frame.time_base)
            first = time if first is None else first
            begin = time if begin is None else begin
            while begin + (index + 0.5) / FPS < time - 1e-4:
                yield _picture(shown, frame), _is_shown(shown, last, begin, index)
                index += 1
            shown, last = frame, time
        if shown is None or first is None or begin is None:
            raise DataError(f"{path}: its video stream is empty (0 s)")
        end = last + _duration(shown, stream)
        while begin + (index + 0.5) / FPS < end:
            yield _picture(shown, shown), _is_shown(shown, last, begin, index)
            index += 1
        promised = _promised(stream)
        if promised is not None and promised - (end - first) > MISSING:
            raise Truncated(
                f"{path}: truncated: {promised:.2f} s of video expected, {end - first:.2f} s found"
            )


@contextmanager
def _opened(path: str | Path) -> Iterator[av.container.InputContainer]:
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            yield container
    except (av.FFmpegError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path}: not a readable video or sound file ({reason}); it may be truncated"
        ) from error


def _decoded(
    container: av.container.InputContainer, stream: av.stream.Stream, path: str | Path
) -> Iterator[av.frame.Frame]:
    """The frames of a stream; a damaged packet raises Truncated."""
    try:
        yield from container.decode(stream)
    except av.FFmpegError as error:
        raise Truncated(
            f"{path}: damaged {stream.type} ({error.strerror}); it may be truncated"
        ) from error


def _sound_frames(
    container: av.container.InputContainer, path: str | Path
) -> Iterator[av.AudioFrame]:
    """The frames of the first audio stream that have samples and a time stamp."""
    if not container.streams.audio:
        raise DataError(f"{path}: has no sound; give a recording with an audio stream")
    for frame in _decoded(container, container.streams.audio[0], path):
        if frame.samples and frame.pts is not None:
            yield frame


def _mono(frame: av.AudioFrame) -> np.ndarray:
    channels = len(frame.layout.channels)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, channels).T
    if np.issubdtype(samples.dtype, np.integer):
        limits = np.iinfo(samples.dtype)
        middle = 128 if limits.min == 0 else 0
        samples = (samples.astype(np.float32) - middle) / (limits.max - middle)
    return samples.mean(0, dtype=np.float32)


def _placed(samples: np.ndarray, wanted: int, position: int, rate: int) -> np.ndarray:
    """Samples for index `wanted`, padded or trimmed at the start to be appended at `position`.

    Differences below `_GAP`, such as rounded time stamps, are ignored.
    """
    ahead = wanted - position
    if position and abs(ahead) < _GAP * rate:
        return samples
    return np.pad(samples, (ahead, 0)) if ahead > 0 else samples[-ahead:]


def _video_start(container: av.container.InputContainer, default: float) -> float:
    stream = _moving(container)
    if stream is None or stream.start_time is None or stream.time_base is None:
        return default
    return float(stream.start_time * stream.time_base)


def _moving(container: av.container.InputContainer) -> av.video.stream.VideoStream | None:
    """The first video stream; the cover picture of a sound file does not count."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def _promised(stream: av.stream.Stream) -> float | None:
    """Stated duration of a stream in s, None if the file does not state it."""
    if stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _duration(frame: av.VideoFrame, stream: av.video.stream.VideoStream) -> float:
    if getattr(frame, "duration", None):
        return float(frame.duration * frame.time_base)
    rate = stream.average_rate or FPS
    return float(1 / rate)


def _picture(frame: av.VideoFrame | None, like: av.VideoFrame) -> np.ndarray:
    """The frame as RGB, rotated as the file states; black if there is none yet."""
    if frame is None:
        return np.zeros_like(_picture(like, like))
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))


def _is_shown(frame: av.VideoFrame | None, last: float, begin: float, index: int) -> bool:
    return frame is not None and begin + (index + 0.5) / FPS - last < _HOLD
