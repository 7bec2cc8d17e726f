"""Reader of the layout of MLP Singer (Tae et al. 2021): `wav/ mid/ txt/`, with Hangul text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib

from voicediff.data.singing.songs import (
    Problem,
    Song,
    Survey,
    count_repairs,
    end_problems,
    note_problems,
    recording_seconds,
)
from voicediff.errors import DataError
from voicediff.music.melody import assemble
from voicediff.music.midi import read_midi
from voicediff.text.lyrics import read_lyrics

KINDS = {"wav": ("wav", "flac"), "mid": ("mid", "midi"), "txt": ("txt",)}


def is_mlp_singer(root: str | Path) -> bool:
    """Whether this folder has the layout of MLP Singer."""
    return all((Path(root) / kind).is_dir() for kind in KINDS)


def survey_mlp_singer(root: str | Path, jobs: int = 1) -> Iterator[Survey]:
    """Check the songs of the folder, one survey each, numbered in the order of their names.

    Raises DataError where the folder has no songs.
    """
    root = Path(root)
    files = {(kind, path.stem): path for kind in KINDS for path in _files(root, kind)}
    names = sorted({name for _, name in files})
    if not names:
        raise DataError(f"{root}: no songs; expected wav/NAME.wav, mid/NAME.mid and txt/NAME.txt")
    work = (
        joblib.delayed(_survey)(
            name,
            number,
            {kind: files.get((kind, name), _expected(root, kind, name)) for kind in KINDS},
        )
        for number, name in enumerate(names, start=1)
    )
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(work)


def _files(root: Path, kind: str) -> list[Path]:
    if not (root / kind).is_dir():
        return []
    endings = KINDS[kind]
    return [
        path
        for path in sorted((root / kind).iterdir())
        if path.suffix[1:].lower() in endings and not path.name.startswith(".")
    ]


def _expected(root: Path, kind: str, name: str) -> Path:
    return root / kind / f"{name}.{KINDS[kind][0]}"


def _survey(name: str, number: int, paths: dict[str, Path]) -> Survey:
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        message = "missing; a song has wav, mid and txt"
        return Survey(problems=[Problem(name, path, message) for path in missing])
    if re.search(r"\s", name):
        message = "white space in the name; rename the song's files"
        return Survey(problems=[Problem(name, paths["wav"], message)])
    seconds, problems = recording_seconds(name, paths["wav"])
    melody = lines = None
    try:
        melody = read_midi(paths["mid"])
    except DataError as error:
        problems.append(Problem(name, paths["mid"], _bare(error, paths["mid"])))
    try:
        lines = read_lyrics(paths["txt"])
    except DataError as error:
        problems.append(Problem(name, paths["txt"], _bare(error, paths["txt"])))
    if melody is not None:
        problems += note_problems(name, paths["mid"], melody.notes)
        if seconds:
            problems += end_problems(name, paths["mid"], melody.notes, seconds, None)
    score = None
    if melody is not None and lines is not None:
        try:
            score = assemble(melody, lines)
        except DataError as error:
            message = _bare(error, paths["mid"])
            if not any(
                p.note is not None and message.startswith(f"note {p.note} ") for p in problems
            ):
                problems.append(Problem(name, paths["mid"], message))
    if problems or score is None:
        return Survey(problems=problems)
    score = replace(score, duration=max(seconds, score.notes[-1].end), title=name)
    song = Song(name, number, "", paths["wav"], score)
    return Survey([song], counts=count_repairs(melody.notes))


def _bare(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").removeprefix(str(path))
