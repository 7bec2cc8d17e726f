"""Reader of OpenUtau projects (`.ustx`, YAML): the voice parts of one track, with lyrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from voicediff.errors import DataError
from voicediff.music.melody import Melody, RawNote
from voicediff.music.tempo import TempoMap
from voicediff.text.lyrics import read_text

RESOLUTION = 480
_RESTS = ("R", "r", "rest", "AP", "SP", "br")


def read_ustx(path: str | Path) -> Melody:
    """The voice parts of the track with notes; `+` and `-` hold the previous syllable.

    Raises DataError for a damaged file and for notes on several tracks.
    """
    path = Path(path)
    project = _parse(path)
    try:
        resolution = float(project.get("resolution") or RESOLUTION)
        tempo = TempoMap.of(_tempos(project), resolution, str(path))
        notes = sorted(_notes(project, tempo, path), key=lambda note: note.start)
        title = str(project.get("name") or path.stem)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{path}: not an OpenUtau project ({type(error).__name__}: {error}); save it again"
        ) from error
    end = max((note.end for note in notes), default=0.0)
    return Melody(tuple(notes), end, str(path), title, tempo.points)


def _parse(path: Path) -> Mapping[str, Any]:
    text = read_text(path)
    try:
        project = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, AttributeError) as error:
        raise DataError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(project, Mapping):
        raise DataError(f"{path}: no OpenUtau project; its top level has `voice_parts:`")
    return project


def _tempos(project: Mapping[str, Any]) -> list[tuple[float, float]]:
    found = project.get("tempos") or [{"position": 0, "bpm": project.get("bpm") or 120}]
    return [(float(item["position"]), float(item["bpm"])) for item in found]


def _notes(project: Mapping[str, Any], tempo: TempoMap, path: Path) -> Iterator[RawNote]:
    parts = [part for part in project.get("voice_parts") or [] if part.get("notes")]
    tracks = sorted({int(part.get("track_no") or 0) for part in parts})
    if not parts:
        raise DataError(f"{path}: no notes in its voice parts; add the melody")
    if len(tracks) > 1:
        raise DataError(f"{path}: notes on tracks {tracks}; keep one")
    for part in parts:
        offset = float(part.get("position") or 0)
        for note in part["notes"]:
            lyric = str(note.get("lyric") or "").strip()
            if lyric in _RESTS:
                continue
            start = offset + float(note["position"])
            end = start + float(note["duration"])
            text = "-" if lyric[:1] in ("+", "-") else lyric
            yield RawNote(
                tempo.to_seconds(start), tempo.to_seconds(end), int(note["tone"]), text or None
            )
