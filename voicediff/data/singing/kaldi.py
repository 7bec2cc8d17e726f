"""Kaldi-style data folders of singing: reading, writing and validation.

    wav.scp     RECORDING PATH
    segments    UTTERANCE RECORDING START END      (seconds)
    text        UTTERANCE WORDS                    (Hangul)
    utt2spk     UTTERANCE SINGER
    score.scp   UTTERANCE PATH                     (a score as JSON; time 0 is START)
    songs.scp   RECORDING PATH                     (the score of the whole recording)

All tables are sorted by their first column, as `LC_ALL=C sort` does. Paths are absolute or
relative to the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile

from voicediff.data.tables import read_table, write_table
from voicediff.errors import DataError
from voicediff.files import whole_folder
from voicediff.music.score import Score
from voicediff.text.lyrics import read_text

TABLES = ("wav.scp", "segments", "text", "utt2spk", "score.scp", "songs.scp")
_SLACK = 0.05  # seconds by which a segment may exceed its recording


@dataclass(frozen=True)
class Utterance:
    """A line of a song: the part of a recording from `start` to `end` seconds."""

    utt: str
    recording: str
    start: float
    end: float
    text: str
    singer: str
    score: Score


@dataclass(frozen=True)
class Recording:
    """A complete song: its audio file and its score."""

    name: str
    wav: Path
    score: Score


@dataclass(frozen=True)
class DataFolder:
    """A valid data folder.

    Attributes:
        path: the folder.
        wavs: audio file by recording.
        segments: (recording, start, end) by utterance, in seconds.
        texts, singers: by utterance.
        scores: JSON file by utterance.
        songs: JSON file of the complete score by recording.
    """

    path: Path
    wavs: Mapping[str, Path]
    segments: Mapping[str, tuple[str, float, float]]
    texts: Mapping[str, str]
    singers: Mapping[str, str]
    scores: Mapping[str, Path]
    songs: Mapping[str, Path]

    @property
    def utterances(self) -> list[str]:
        """Names in the order of the tables."""
        return list(self.segments)

    def segment(self, utt: str) -> tuple[str, float, float]:
        """Recording, start and end in seconds."""
        return self.segments[utt]

    def wav(self, utt: str) -> Path:
        """The audio file of the recording that contains the utterance."""
        return self.wavs[self.segments[utt][0]]

    def score(self, utt: str) -> Score:
        """The utterance's notes; time 0 is its start."""
        return read_score_json(self.scores[utt])

    def song_wav(self, song: str) -> Path:
        """The audio file of the complete recording."""
        return self.wavs[song]

    def song_score(self, song: str) -> Score:
        """The score of the complete recording, with its title."""
        return read_score_json(self.songs[song])


def read_folder(path: str | Path) -> DataFolder:
    """Read and validate a data folder. Raises DataError with the first problem and a count."""
    path = Path(path)
    problems, folder = _read(path)
    if problems:
        others = len(problems) - 1
        more = f" ({others} more problem{'s' * (others > 1)})" if others else ""
        raise DataError(f"{problems[0]}{more}")
    return folder


def validate_folder(path: str | Path) -> list[str]:
    """All problems of a data folder, one line each; empty if it is valid."""
    return _read(Path(path))[0]


def write_folder(
    path: str | Path, recordings: Iterable[Recording], utterances: Iterable[Utterance]
) -> None:
    """Write and validate a data folder; it replaces `path` atomically.

    Raises DataError with the first problem; `path` then stays unchanged.
    """
    path = Path(path)
    with whole_folder(path) as new:
        _write(new, path, list(recordings), list(utterances))
        problems = validate_folder(new)
        if problems:
            raise DataError(problems[0].replace(str(new), str(path)))


def read_score_json(path: str | Path) -> Score:
    """Read a score from JSON. Raises DataError."""
    try:
        return Score.from_dict(json.loads(read_text(path)), str(path))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); run stage 1 again") from error


def _write(new: Path, path: Path, recordings: list[Recording], utterances: list[Utterance]) -> None:
    tables: dict[str, dict[str, object]] = {name: {} for name in TABLES}
    for inside in ("scores", "songs"):
        (new / inside).mkdir()
    for recording in recordings:
        song = f"songs/{recording.name}.json"
        _write_score(new / song, recording.score)
        _put(tables, "wav.scp", recording.name, _portable(recording.wav, path))
        _put(tables, "songs.scp", recording.name, song)
    for item in utterances:
        score = f"scores/{item.utt}.json"
        _write_score(new / score, item.score)
        span = f"{item.recording} {item.start:.6f} {item.end:.6f}"
        _put(tables, "segments", item.utt, span)
        _put(tables, "text", item.utt, item.text)
        _put(tables, "utt2spk", item.utt, item.singer)
        _put(tables, "score.scp", item.utt, score)
    for name, rows in tables.items():
        write_table(new / name, rows)


def _write_score(path: Path, score: Score) -> None:
    """Not atomic by itself: the folder is renamed into place after all files are written."""
    path.write_text(json.dumps(score.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8")


def _put(tables: dict[str, dict[str, object]], table: str, key: str, value: object) -> None:
    if key in tables[table]:
        raise DataError(f"{table}: {key!r} is given twice; names must differ")
    tables[table][key] = value


def _portable(wav: Path, folder: Path) -> str:
    """Relative if the recording is below the parent of the folder, so that both can be moved."""
    wav, parent = wav.resolve(), folder.resolve().parent
    if wav.is_relative_to(parent):
        return os.path.relpath(wav, parent / folder.name)
    return str(wav)


def _read(path: Path) -> tuple[list[str], DataFolder]:
    problems: list[str] = []
    rows = {name: _rows(path / name, problems) for name in TABLES}
    segments = _segments(path / "segments", rows["segments"], problems)
    folder = DataFolder(
        path,
        {key: path / value for key, value in rows["wav.scp"].items()},
        segments,
        rows["text"],
        rows["utt2spk"],
        {key: path / value for key, value in rows["score.scp"].items()},
        {key: path / value for key, value in rows["songs.scp"].items()},
    )
    if not problems and not segments:
        problems.append(f"{path / 'segments'}: no utterances; run stage 1 again")
    _same_keys(path, rows, "segments", ("text", "utt2spk", "score.scp"), problems)
    _same_keys(path, rows, "wav.scp", ("songs.scp",), problems)
    _check_files(path, folder, rows, problems)
    return problems, folder


def _rows(path: Path, problems: list[str]) -> dict[str, str]:
    """Read a table; unsorted keys and missing values are added to `problems`."""
    try:
        rows = read_table(path)
    except DataError as error:
        problems.append(str(error))
        return {}
    previous = ""
    for number, (key, value) in enumerate(rows.items(), start=1):
        if key < previous:
            problems.append(f"{path}:{number}: {key!r} comes after {previous!r}; sort the table")
        if not value:
            problems.append(f"{path}:{number}: {key!r} has no value; a line is `key value`")
        previous = key
    return rows


def _segments(
    path: Path, rows: Mapping[str, str], problems: list[str]
) -> dict[str, tuple[str, float, float]]:
    found = {}
    for number, (utt, value) in enumerate(rows.items(), start=1):
        try:
            recording, start, end = value.split()
            span = float(start), float(end)
        except ValueError:
            problems.append(f"{path}:{number}: {value!r} is not `recording start end`")
            continue
        if not 0 <= span[0] < span[1]:
            problems.append(f"{path}:{number}: lasts from {start} to {end} s; re-cut the segment")
        found[utt] = (recording, *span)
    return found


def _same_keys(
    path: Path,
    rows: Mapping[str, Mapping[str, str]],
    first: str,
    others: tuple[str, ...],
    problems: list[str],
) -> None:
    for other in others:
        for key in sorted(rows[first].keys() ^ rows[other].keys()):
            has, lacks = (first, other) if key in rows[first] else (other, first)
            problems.append(f"{path / lacks}: {key!r} of {has} is missing; run stage 1 again")


def _check_files(
    path: Path, folder: DataFolder, rows: Mapping[str, Mapping[str, str]], problems: list[str]
) -> None:
    """Check that recordings and scores exist and that segments are within their recordings."""
    seconds: dict[str, float] = {}
    for number, (name, wav) in enumerate(folder.wavs.items(), start=1):
        try:
            info = soundfile.info(str(wav))
            seconds[name] = info.frames / info.samplerate
        except (OSError, RuntimeError):
            problems.append(f"{path / 'wav.scp'}:{number}: {wav}: missing or not an audio file")
    for table, files in (("score.scp", folder.scores), ("songs.scp", folder.songs)):
        for number, file in enumerate(files.values(), start=1):
            if not file.is_file():
                problems.append(f"{path / table}:{number}: {file}: missing; run stage 1 again")
    numbers = {utt: number for number, utt in enumerate(rows["segments"], start=1)}
    for utt, (recording, _, end) in folder.segments.items():
        at = f"{path / 'segments'}:{numbers[utt]}"
        if recording not in folder.wavs:
            problems.append(f"{at}: recording {recording!r} is not in wav.scp")
        elif recording in seconds and end > seconds[recording] + _SLACK:
            problems.append(
                f"{at}: ends at {end:.2f} s but the recording is {seconds[recording]:.2f} s long; "
                "re-cut the segment"
            )
