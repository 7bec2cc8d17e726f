"""Reader of the Children's Song Dataset (Choi et al. 2020) with consistency checks.

CSD/metadata.json
CSD/korean/{wav,mid,lyric,txt,csv}/kr001a.* ... kr050b.*
CSD/english/...                         (not used)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import joblib

from voicediff.data.singing.songs import (
    AFTER,
    Problem,
    Song,
    Survey,
    count_repairs,
    end_problems,
    note_problems,
    recording_seconds,
)
from voicediff.errors import DataError
from voicediff.music.csd import read_csd, read_csv
from voicediff.music.melody import RawNote
from voicediff.music.midi import read_midi
from voicediff.text import phones
from voicediff.text.lyrics import Sung, read_lyrics, read_text
from voicediff.text.phones import Syllable

KINDS = {"wav": "wav", "mid": "mid", "lyric": "txt", "txt": "txt", "csv": "csv"}
_NAME = re.compile(r"[a-z]+(\d+)([a-z])")
_Read = TypeVar("_Read")


def is_csd(root: str | Path) -> bool:
    """Whether this folder, or its subfolder `CSD`, has the layout of the release."""
    return _top(Path(root)) is not None


def survey_csd(root: str | Path, jobs: int = 1) -> Iterator[Survey]:
    """Check the songs of the Korean part, one survey each, in order of their names.

    Raises DataError where the folder has no such part. The survey of a song with problems lists all
    of them.
    """
    top = _top(Path(root))
    if top is None:
        raise DataError(
            f"{root}: no korean/csv with songs in it; give the folder with metadata.json"
        )
    korean = top / "korean"
    titles = _titles(top / "metadata.json")
    names = sorted({path.stem for kind in KINDS for path in _files(korean, kind)})
    if (top / "english").is_dir():
        yield Survey(notes=[f"{top / 'english'}: skipped; only Korean is supported"])
    work = (joblib.delayed(_survey)(korean, name, titles.get(name, name)) for name in names)
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(work)


def _top(root: Path) -> Path | None:
    return next((p for p in (root, root / "CSD") if (p / "korean" / "csv").is_dir()), None)


def _files(korean: Path, kind: str) -> list[Path]:
    found = (korean / kind).glob(f"*.{KINDS[kind]}") if (korean / kind).is_dir() else ()
    return [path for path in found if not path.name.startswith(".")]


def _survey(korean: Path, name: str, title: str) -> Survey:
    paths = {kind: korean / kind / f"{name}.{ending}" for kind, ending in KINDS.items()}
    match = _NAME.fullmatch(name)
    if match is None:
        message = "not a song name; expected e.g. kr001a (number and key)"
        present = next(path for path in paths.values() if path.exists())
        return Survey(problems=[Problem(name, present, message)])
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        message = "missing; a song has wav, mid, lyric, txt and csv"
        return Survey(problems=[Problem(name, path, message) for path in missing])
    problems, counts, seconds = _check(name, paths)
    if problems:
        return Survey(problems=problems)
    try:
        score = read_csd(paths["csv"])
    except DataError as error:
        return Survey(problems=[Problem(name, paths["csv"], _bare(error, paths["csv"]))])
    score = replace(score, duration=max(seconds, score.notes[-1].end), title=title)
    song = Song(name, int(match[1]), match[2], paths["wav"], score)
    return Survey([song], counts=counts)


def _check(name: str, paths: dict[str, Path]) -> tuple[list[Problem], Counter[str], float]:
    """All problems of a song whose files exist, counts of repairs, and the length in seconds."""
    seconds, problems = recording_seconds(name, paths["wav"])

    def read(kind: str, reader: Callable[[Path], _Read]) -> _Read | None:
        try:
            return reader(paths[kind])
        except DataError as error:
            problems.append(Problem(name, paths[kind], _bare(error, paths[kind])))
            return None

    table = read("csv", _read_rows)
    spoken = read("txt", lambda path: _read_phones(path, name, problems))
    written = read("lyric", lambda path: [item for line in read_lyrics(path) for item in line])
    midi = read("mid", lambda path: read_midi(path).notes)
    if table is None:
        return problems, Counter(), seconds
    rows, column = table
    problems += note_problems(name, paths["csv"], rows)
    if seconds:
        problems += end_problems(name, paths["csv"], rows, seconds, AFTER)
    if midi is not None:
        problems += _against_midi(name, paths["mid"], rows, midi)
    if spoken is not None:
        problems += _against_txt(name, paths["txt"], rows, column, spoken)
    if spoken is not None and written is not None:
        problems += _against_lyric(name, paths["lyric"], rows, spoken, written)
    return problems, count_repairs(rows), seconds


def _read_rows(path: Path) -> tuple[list[RawNote], list[str]]:
    rows, column = read_csv(path)
    if not rows:
        raise DataError(f"{path}: no notes; add the song's rows")
    return rows, column


def _read_phones(path: Path, song: str, problems: list[Problem]) -> list[Syllable | None]:
    """The syllables of a txt file; an invalid one becomes None and adds a problem."""
    found: list[Syllable | None] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        for word in line.split():
            try:
                found.append(phones.parse(word.split("_"), f"line {number}"))
            except DataError as error:
                problems.append(Problem(song, path, str(error), len(found) + 1))
                found.append(None)
    if not found:
        raise DataError(f"{path}: no phones; write one syllable for each note")
    return found


def _against_midi(
    song: str, path: Path, rows: Sequence[RawNote], notes: Sequence[RawNote]
) -> list[Problem]:
    if len(notes) == len(rows):
        return []
    place = _first_difference(
        rows, notes, lambda a, b: a.pitch == b.pitch and abs(a.start - b.start) < 0.15
    )
    return [_count_problem(song, path, rows, place, f"{len(notes)} notes", f"{len(rows)} csv rows")]


def _against_txt(
    song: str,
    path: Path,
    rows: Sequence[RawNote],
    column: Sequence[str],
    spoken: Sequence[Syllable | None],
) -> list[Problem]:
    if len(spoken) == len(rows):
        return []

    def same(text: str, syllable: Syllable | None) -> bool:
        return syllable is None or text.replace("_", "") == "".join(syllable.tokens)

    place = _first_difference(column, spoken, same)
    syllables = f"{len(spoken)} syllables"
    return [_count_problem(song, path, rows, place, syllables, f"{len(rows)} csv rows")]


def _against_lyric(
    song: str,
    path: Path,
    rows: Sequence[RawNote],
    spoken: Sequence[Syllable | None],
    written: Sequence[Sung],
) -> list[Problem]:
    if len(spoken) == len(written):
        return []

    def same(syllable: Syllable | None, sung: Sung) -> bool:
        if syllable is None or sung.slur:
            return True
        return syllable.nucleus == phones.from_spoken(sung.text)[0].nucleus

    place = _first_difference(spoken, written, same)
    texts = f"{len(written)} Hangul syllables", f"{len(spoken)} in txt"
    return [_count_problem(song, path, rows, place, *texts)]


def _first_difference(left: Sequence, right: Sequence, same: Callable[[Any, Any], bool]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if not same(a, b)), min(len(left), len(right)))


def _count_problem(
    song: str, path: Path, rows: Sequence[RawNote], place: int, found: str, expected: str
) -> Problem:
    index = min(place, len(rows) - 1)
    message = f"{found} but {expected}; the first difference is at or before this note"
    return Problem(song, path, message, index + 1, rows[index].start)


def _titles(path: Path) -> dict[str, str]:
    """Song titles by file name; metadata is a mapping by name, or a list of mappings with names."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); copy it again from the release") from error
    entries = content.items() if isinstance(content, dict) else ((None, item) for item in content)
    titles = {}
    for key, entry in entries:
        if not isinstance(entry, dict):
            continue
        texts = {k: v for k, v in entry.items() if isinstance(v, str)}
        title = next((texts[k] for k in ("song_name", "title", "name") if k in texts), None)
        names = [key, *texts.values()]
        name = next((n for n in names if n and _NAME.fullmatch(n.removesuffix(".wav"))), None)
        if title and name:
            titles[name.removesuffix(".wav")] = title
    return titles


def _bare(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").removeprefix(str(path))
