"""Unchecked notes as read from a file, and their combination with lyrics to a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from voicediff.errors import DataError
from voicediff.music.score import Note, Score
from voicediff.text.lyrics import Sung, parse_line

LEGATO = 0.05  # seconds by which a played note may overlap the next one
LONGEST = 2 * 3600.0  # seconds; a longer song indicates a damaged file


@dataclass(frozen=True)
class RawNote:
    """A note of a file: start and end in seconds, MIDI number, and its lyric.

    `text` is None where the file has no lyric, "-" where the previous syllable is held. `word` and
    `line` are True where a word or a lyric line begins.
    """

    start: float
    end: float
    pitch: int
    text: str | None = None
    word: bool = False
    line: bool = False


@dataclass(frozen=True)
class Melody:
    """The content of a file: notes in time order, which may overlap, and lyrics without a note.

    `source` is the prefix of error messages; `stray` are (seconds, text) of lyrics without a note.
    """

    notes: tuple[RawNote, ...]
    duration: float
    source: str
    title: str = ""
    tempo: tuple[tuple[float, float], ...] = ((0.0, 120.0),)
    stray: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.notes:
            raise DataError(f"{self.source}: no notes; add the melody")
        numbers = [x for note in self.notes for x in (note.start, note.end)]
        if not all(map(math.isfinite, numbers)) or max(*numbers, self.duration) > LONGEST:
            raise DataError(f"{self.source}: lasts over {LONGEST:.0f} s; is the tempo right?")

    @property
    def has_lyrics(self) -> bool:
        return any(note.text is not None for note in self.notes)

    def sung(self) -> list[Sung | None]:
        """The lyric of each note, None where there is none. Raises DataError with note and time."""
        found: list[Sung | None] = []
        for index, note in enumerate(self.notes):
            at = f"{self.source}: note {index + 1} at {note.start:.2f} s"
            items = [] if note.text is None else parse_line(note.text, at)
            if len(items) > 1:
                raise DataError(
                    f"{at}: {len(items)} syllables ({note.text.strip()!r}) on one note; split it"
                )
            found.append(replace(items[0], word=note.word) if items else None)
        return found


def assemble(melody: Melody, lines: Sequence[Sequence[Sung]] | None = None) -> Score:
    """Combine notes and lyrics: `lines` in order, or without them the lyrics in the file.

    Raises DataError for overlaps over `LEGATO`, missing lyrics, and different numbers of notes and
    syllables.
    """
    notes = trim(melody.notes, melody.source)
    if lines is None:
        sung, phrases = _embedded(melody)
    else:
        sung = [item for line in lines for item in line]
        starts = [sum(map(len, lines[:i])) for i in range(len(lines))]
        _check_count(melody, lines, starts)
        phrases = starts
    words = [i for i, item in enumerate(sung) if item.word]
    joined = tuple(
        Note(note.start, note.end, note.pitch, "" if item.slur else item.text, item.slur)
        for note, item in zip(notes, sung, strict=True)
    )
    heads = {i for i, note in enumerate(joined) if not note.slur}
    return Score(
        joined,
        max(melody.duration, joined[-1].end),
        melody.title,
        melody.tempo,
        tuple(i for i in phrases if i in heads),
        tuple(i for i in words if i in heads),
    )


def trim(notes: Sequence[RawNote], source: str, most: float = LEGATO) -> list[RawNote]:
    """Cut overlaps of up to `most` seconds, so that each note ends before the next begins.

    Raises DataError for a larger overlap, and where less than half of a note would remain.
    """
    trimmed = list(notes)
    for i in range(len(notes) - 1):
        note, following = notes[i], notes[i + 1]
        over = note.end - following.start
        if over <= 0:
            continue
        if over > most or over > (note.end - note.start) / 2:
            raise DataError(
                f"{source}: note {i + 2} at {following.start:.2f} s begins {over:.2f} s before "
                f"note {i + 1} ends; only one note can be sung at a time, shorten note {i + 1}"
            )
        trimmed[i] = replace(note, end=following.start)
    return trimmed


def _embedded(melody: Melody) -> tuple[list[Sung], list[int]]:
    if not melody.has_lyrics:
        raise DataError(f"{melody.source}: no lyrics in the file; give a text file with the lyrics")
    if melody.stray:
        time, text = melody.stray[0]
        raise DataError(f"{melody.source}: lyric {text!r} at {time:.2f} s belongs to no note")
    sung = melody.sung()
    for index, item in enumerate(sung):
        if item is None:
            raise DataError(
                f"{melody.source}: note {index + 1} at {melody.notes[index].start:.2f} s has no "
                "syllable; add one, or `-` to hold the previous one"
            )
    return sung, [i for i, note in enumerate(melody.notes) if note.line]


def _check_count(melody: Melody, lines: Sequence[Sequence[Sung]], starts: Sequence[int]) -> None:
    notes, syllables = len(melody.notes), sum(map(len, lines))
    if notes == syllables:
        return
    if syllables < notes:
        rest = f"no syllable from note {syllables + 1} at {melody.notes[syllables].start:.2f} s on"
    else:
        line = next(a for a, s in zip(lines, starts, strict=True) if s + len(a) > notes)
        rest = f"no note from line {line[0].line} of the words on"
    raise DataError(
        f"{melody.source}: {notes} notes but {syllables} syllables, {rest}; "
        "`voicediff lint` locates the difference"
    )
