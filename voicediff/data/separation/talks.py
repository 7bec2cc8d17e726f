"""Data folders of clips (stage 1) and prepared clips (stage 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from voicediff.data.separation.clips import Clip, as_int16, clip_frames, write_clip
from voicediff.data.separation.layouts import Problem, Talk
from voicediff.data.separation.mixtures import Entry
from voicediff.data.tables import read_table, write_table
from voicediff.errors import DataError
from voicediff.video.constants import FPS
from voicediff.video.crops import cut_face, cut_mouths
from voicediff.video.faces import (
    Boxes,
    detect,
    detector,
    face_of_track,
    fixed_mouth,
    mouth_of,
    read_sidecar,
    sidecar_of,
)
from voicediff.video.reading import read_recording

_LEAST_DETECTED = 0.5  # share of frames in which the mouth must be detected


@dataclass(frozen=True)
class Prepared:
    """One clip of stage 2: its description for mixing, and its file."""

    entry: Entry
    path: Path


def frames_of(talk: Talk) -> int | Problem:
    """Number of frames according to the headers of the clip's files, or the problem with them."""
    try:
        if talk.video.suffix == ".npz":
            return clip_frames(talk.video)
        seconds = _seconds(talk.video, "video")
        seconds = min(seconds, _seconds(talk.audio or talk.video, "audio"))
    except DataError as error:
        return Problem(talk.video, str(error).removeprefix(f"{talk.video}: "))
    frames = int(seconds * FPS + 1e-3)
    return frames if frames > 0 else Problem(talk.video, "lasts less than one frame")


def write_talks(folder: str | Path, talks: Iterable[Talk], frames: Mapping[str, int]) -> None:
    """A Kaldi-style folder: video.scp audio.scp utt2spk spk2gender text utt2frames utt2boxes."""
    folder, talks = Path(folder), list(talks)
    write_table(folder / "utt2spk", {t.id: t.speaker for t in talks})
    write_table(folder / "spk2gender", {t.speaker: t.gender for t in talks if t.gender})
    write_table(folder / "text", {t.id: t.text for t in talks})
    write_table(folder / "utt2boxes", {t.id: t.boxes for t in talks})
    write_table(folder / "utt2frames", {t.id: frames[t.id] for t in talks})
    write_table(folder / "audio.scp", {t.id: t.audio.resolve() for t in talks if t.audio})
    write_table(folder / "video.scp", {t.id: t.video.resolve() for t in talks})


def read_talks(folder: str | Path) -> list[Talk]:
    """Read the folder of `write_talks`; its name is the split. Raises DataError."""
    folder = Path(folder)
    speakers, texts = read_table(folder / "utt2spk"), read_table(folder / "text")
    genders, boxes = read_table(folder / "spk2gender"), read_table(folder / "utt2boxes")
    audio = read_table(folder / "audio.scp")
    return [
        Talk(
            id=name,
            speaker=speakers[name],
            split=folder.name,
            video=Path(video),
            audio=Path(audio[name]) if name in audio else None,
            text=texts.get(name, ""),
            boxes=boxes[name],
            gender=genders.get(speakers[name], ""),
        )
        for name, video in read_table(folder / "video.scp").items()
    ]


def entries_of(talks: Iterable[Talk], frames: Mapping[str, int]) -> list[Entry]:
    """The clips as sources of mixtures."""
    return [Entry(t.id, t.speaker, t.gender, frames[t.id]) for t in talks]


def extract(talk: Talk, boxes: str = "auto", yunet: str | None = None) -> Clip:
    """Read the clip and cut mouth and face.

    Args:
        boxes: "sidecar", "track", "detector", or "auto": the result of stage 1.
        yunet: model file of the YuNet detector.

    Raises DataError for files that cannot be read, and where the mouth is detected in less than
    half of the frames.
    """
    recording = read_recording(talk.video, talk.audio)
    frames = recording.frames
    mouth, face = _boxes(talk, frames, talk.boxes if boxes == "auto" else boxes, yunet)
    mouth = Boxes(mouth.boxes, mouth.valid & recording.shown)
    if mouth.valid.mean() < _LEAST_DETECTED:
        raise DataError(
            f"{talk.video}: the mouth is detected in only {mouth.valid.mean():.0%} of the frames; "
            f"give boxes in {sidecar_of(talk.video).name} or leave the clip out"
        )
    face = Boxes(face.boxes, face.valid & recording.shown)
    return Clip(
        as_int16(recording.audio), cut_mouths(frames, mouth), mouth.valid, cut_face(frames, face)
    )


def prepare(
    talk: Talk, folder: str | Path, boxes: str = "auto", yunet: str | None = None
) -> Prepared | Problem:
    """Extract a clip to `<folder>/<id>.npz` unless it exists; prepared features are not copied."""
    target = Path(folder) / f"{talk.id}.npz"
    try:
        if talk.video.suffix == ".npz":
            target = talk.video
        elif not target.exists():
            write_clip(target, extract(talk, boxes, yunet))
        frames = clip_frames(target)
    except DataError as error:
        return Problem(talk.video, str(error).removeprefix(f"{talk.video}: "))
    return Prepared(Entry(talk.id, talk.speaker, talk.gender, frames), target)


def write_prepared(folder: str | Path, clips: Iterable[Prepared]) -> None:
    """A Kaldi-style folder: clips.scp utt2spk spk2gender utt2frames."""
    folder, clips = Path(folder), list(clips)
    write_table(folder / "utt2spk", {c.entry.id: c.entry.speaker for c in clips})
    genders = {c.entry.speaker: c.entry.gender for c in clips if c.entry.gender}
    write_table(folder / "spk2gender", genders)
    write_table(folder / "utt2frames", {c.entry.id: c.entry.frames for c in clips})
    write_table(folder / "clips.scp", {c.entry.id: c.path.resolve() for c in clips})


def read_prepared(folder: str | Path) -> dict[str, Prepared]:
    """Read the folder of `write_prepared`: clips by id. Raises DataError."""
    folder = Path(folder)
    speakers, genders = read_table(folder / "utt2spk"), read_table(folder / "spk2gender")
    frames = read_table(folder / "utt2frames")
    found = {}
    for name, path in read_table(folder / "clips.scp").items():
        speaker = speakers[name]
        entry = Entry(name, speaker, genders.get(speaker, ""), int(frames[name]))
        found[name] = Prepared(entry, Path(path))
    return found


def _boxes(talk: Talk, frames: np.ndarray, how: str, yunet: str | None) -> tuple[Boxes, Boxes]:
    """Mouth and face boxes."""
    count, height, width = frames.shape[:3]
    if how == "sidecar":
        known = read_sidecar(sidecar_of(talk.video), count)
        return known, Boxes(face_of_track(count, height, width).boxes, known.valid)
    if how == "track":
        return fixed_mouth(count, height, width), face_of_track(count, height, width)
    faces = detect(frames, detector(yunet))
    return mouth_of(faces), faces


def _seconds(path: Path, kind: str) -> float:
    """Duration of the first stream of a kind according to the header."""
    try:
        with av.open(str(path)) as container:
            streams = getattr(container.streams, kind)
            if not streams:
                raise DataError(f"{path}: has no {kind}")
            stream = streams[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return (container.duration or 0) / av.time_base
    except (av.FFmpegError, EOFError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: not readable ({reason}); it may be truncated") from error
