"""Songs of a corpus, and checks shared by all corpus readers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voicediff.audio import read_wav
from voicediff.errors import DataError
from voicediff.music.melody import RawNote
from voicediff.music.score import Score

LOWEST, HIGHEST = 36, 96  # MIDI numbers, C2 to C7: range of singing
OVERLAP = 0.5  # seconds of overlap that are repaired; manual annotations sometimes overlap
AFTER = 5.0  # seconds of recording allowed after the last note
MIN_RATE = 16000  # Hz


@dataclass(frozen=True)
class Song:
    """A recording and its score.

    Attributes:
        name: e.g. `kr001a`; number, key: 1 and `a`, the key is "" where the corpus has none.
        score: has the duration of the recording; its title is for display.
    """

    name: str
    number: int
    key: str
    wav: Path
    score: Score


@dataclass(frozen=True)
class Problem:
    """A problem of a song: the file, and the note (from 1) and time in seconds if known."""

    song: str
    path: Path
    message: str
    note: int | None = None
    time: float | None = None

    def __str__(self) -> str:
        where = str(self.path)
        if self.note is not None:
            where += f": note {self.note}"
        if self.time is not None:
            where += f" at {self.time:.3f} s"
        return f"{where}: {self.message}"


@dataclass
class Survey:
    """The result of checking songs of a corpus.

    Attributes:
        songs: songs without problems.
        problems: all problems of the other songs.
        counts: numbers of repaired overlaps and similar findings, by name.
        notes: remarks for the summary.
    """

    songs: list[Song] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Survey) -> None:
        self.songs += other.songs
        self.problems += other.problems
        self.counts += other.counts
        self.notes += other.notes

    def require_good(self, skip_bad: bool) -> None:
        """Raise DataError with all problems, unless `skip_bad`; and if no song is left."""
        if self.problems and not skip_bad:
            bad = len({problem.song for problem in self.problems})
            listed = "\n".join(str(problem) for problem in self.problems)
            raise DataError(
                f"{listed}\n{len(self.problems)} problems in {bad} songs; correct them, or skip "
                "these songs with --skip-bad"
            )
        if not self.songs:
            raise DataError("no song without problems is left; correct the corpus")


def recording_seconds(song: str, path: Path) -> tuple[float, list[Problem]]:
    """The length of a recording in seconds, and its problems."""
    try:
        wav, rate = read_wav(path)
    except DataError as error:
        return 0.0, [Problem(song, path, str(error).removeprefix(f"{path}: "))]
    problems = []
    if rate < MIN_RATE:
        message = f"recorded at {rate} Hz; export it with at least {MIN_RATE} Hz"
        problems.append(Problem(song, path, message))
    if float(np.abs(wav).max()) < 1e-4:
        problems.append(Problem(song, path, "contains silence only; export it again"))
    return len(wav) / rate, problems


def note_problems(song: str, path: Path, notes: Sequence[RawNote]) -> list[Problem]:
    """Problems of notes: no length, outside the range of singing, large overlaps."""
    found = []
    for number, note in enumerate(notes, start=1):
        if not note.end > note.start:
            message = f"ends at {note.end:.3f} s; give it a length"
            found.append(Problem(song, path, message, number, note.start))
        if note.start < 0:
            found.append(Problem(song, path, "times start at 0", number, note.start))
        if not LOWEST <= note.pitch <= HIGHEST:
            message = f"pitch {note.pitch} is outside the range of singing ({LOWEST} to {HIGHEST})"
            found.append(Problem(song, path, message, number, note.start))
    for number, (note, following) in enumerate(itertools.pairwise(notes), start=2):
        over = note.end - following.start
        if note.end > note.start and over > min(OVERLAP, (note.end - note.start) / 2):
            message = (
                f"begins {over:.3f} s before note {number - 1} ends; shorten note {number - 1}"
            )
            found.append(Problem(song, path, message, number, following.start))
    return found


def end_problems(
    song: str, path: Path, notes: Sequence[RawNote], seconds: float, after: float | None
) -> list[Problem]:
    """Problems of the last note: after the recording, or more than `after` s before its end."""
    number = max(range(len(notes)), key=lambda i: notes[i].end) + 1
    end = notes[number - 1].end
    if end > seconds + 0.05:
        message = (
            f"ends at {end:.3f} s but the recording is {seconds:.3f} s long; truncated or shifted?"
        )
    elif after is not None and seconds - end > after:
        rest = seconds - end
        message = f"is the last, but the recording continues for {rest:.3f} s (at most {after:g})"
    else:
        return []
    return [Problem(song, path, message, number, notes[number - 1].start)]


def count_repairs(notes: Sequence[RawNote]) -> Counter[str]:
    """Counts of repaired overlaps and of adjacent notes without a gap."""
    counts: Counter[str] = Counter()
    for note, following in itertools.pairwise(notes):
        over = note.end - following.start
        if over > 1e-6:
            counts["overlaps repaired"] += 1
        elif abs(over) <= 1e-6:
            counts["notes without a gap"] += 1
    return counts
