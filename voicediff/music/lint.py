"""The linter for a melody and its lyrics: notes without a syllable, syllables without a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voicediff.errors import DataError
from voicediff.files import write_text
from voicediff.music.melody import Melody, RawNote, assemble
from voicediff.music.midi import write_midi
from voicediff.music.phrases import split_by_lines
from voicediff.music.problems import RANGE, Problem, check_notes
from voicediff.music.reading import read_melody
from voicediff.music.score import Score
from voicediff.text.lyrics import Sung, parse_line, read_text

Lines = list[list[Sung]]


@dataclass(frozen=True)
class Findings:
    """The problems, and the repaired notes and lines (None where no repair is known)."""

    problems: list[Problem]
    melody: Melody
    lines: Lines | None


def lint_song(
    path: str | Path, lyrics: str | Path | None = None, pitch_range: tuple[int, int] = RANGE
) -> Findings:
    """Check a MIDI, MusicXML or USTX file and its lyrics (a text file, or those in the file).

    Raises DataError for unreadable files.
    """
    melody = read_melody(path)
    problems = check_notes(melody.notes, melody.tempo, Path(path).name, pitch_range)
    repaired = replace(melody, notes=tuple(_without_overlaps(melody.notes)))
    if lyrics is None:
        more, lines = _lint_embedded(repaired)
    else:
        more, lines, repaired = _lint_words(repaired, Path(lyrics))
    order = sorted(problems + more, key=lambda p: -1.0 if p.time is None else p.time)
    return Findings(order, repaired, lines)


def write_repaired(findings: Findings, song: str | Path, lyrics: str | Path | None) -> list[Path]:
    """Write `song.fixed.mid` and `words.fixed.txt` next to the files; returns their paths.

    Raises DataError where no automatic repair exists (words that cannot be pronounced).
    """
    if findings.lines is None:
        raise DataError(
            f"{lyrics or song}: nothing written; correct the unpronounceable words first"
        )
    score = assemble(findings.melody, findings.lines)
    paths = [Path(song).with_suffix(".fixed.mid")]
    write_midi(score, paths[0])
    if lyrics is not None:
        paths.append(Path(lyrics).with_suffix(".fixed.txt"))
        write_text(paths[1], "".join(_text(line) + "\n" for line in findings.lines))
    return paths


def check_score(score: Score, pitch_range: tuple[int, int] = RANGE) -> list[Problem]:
    """Problems of tempo and pitch range in a score that was read without errors."""
    notes = [RawNote(note.start, note.end, note.pitch) for note in score.notes]
    return check_notes(notes, score.tempo, score.title, pitch_range)


def _lint_embedded(melody: Melody) -> tuple[list[Problem], Lines | None]:
    if not melody.has_lyrics:
        raise DataError(f"{melody.source}: no lyrics in the file; give a text file with the lyrics")
    problems, sung = [], []
    for index, note in enumerate(melody.notes):
        try:
            items = parse_line(note.text or "", f"note {index + 1}")
        except DataError as error:
            what = str(error).partition(": ")[2]
            problems.append(_unpronounceable(what, index + 1, note.start))
            continue
        if len(items) > 1:
            message = f"{len(items)} syllables ({note.text!r}) on one note"
            advice = "split the note or the text"
            problems.append(_of_note("syllable_without_note", index, note, message, advice))
        elif not items:
            message = "no syllable on this note"
            advice = "add one, or `-` to hold the previous syllable"
            problems.append(_of_note("note_without_syllable", index, note, message, advice))
        item = items[0] if items else Sung("-")
        sung.append(replace(item, word=note.word))
    for time, text in melody.stray:
        message, advice = (
            f"lyric {text!r} belongs to no note",
            "add a note or move the lyric to one",
        )
        problems.append(Problem("syllable_without_note", None, None, time, message, advice))
    unclear = any(p.kind in ("unpronounceable", "syllable_without_note") for p in problems)
    begins = sorted({0, *(i for i, note in enumerate(melody.notes) if note.line)})
    ends = [*begins[1:], len(sung)]
    lines = [sung[a:b] for a, b in zip(begins, ends, strict=True)]
    return problems, None if unclear or (sung and sung[0].slur) else lines


def _lint_words(melody: Melody, path: Path) -> tuple[list[Problem], Lines | None, Melody]:
    problems, lines = [], []
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        try:
            lines.append(parse_line(text, path.name, number))
        except DataError as error:
            problems.append(_unpronounceable(str(error), None, None))
    lines = [line for line in lines if line]
    if problems:
        return problems, None, melody
    if not lines:
        raise DataError(f"{path}: no syllables; write the words in Hangul, a line for each phrase")
    return _match(melody, lines)


def _match(melody: Melody, lines: Lines) -> tuple[list[Problem], Lines, Melody]:
    """Compare notes and syllables phrase by phrase; returns problems, repaired lines and melody."""
    counts = [len(line) for line in lines]
    if sum(counts) == len(melody.notes):
        return [], lines, melody
    problems: list[Problem] = []
    notes, repaired_lines = [], []
    syllable = 0
    beat = 60.0 / melody.tempo[0][1]
    for line, (first, last) in zip(lines, split_by_lines(melody.notes, counts, beat), strict=True):
        phrase = list(melody.notes[first:last])
        spare = len(phrase) - len(line)
        place = _Place(first, syllable, line, phrase, melody.notes)
        if spare > 0:
            held = _held_notes(phrase, spare)
            problems += [_no_syllable(place, index) for index in held]
            line = _with_slurs(line, held, len(phrase))
        elif spare < 0:
            problems += _no_note(place, -spare)
            phrase, line = _with_more_notes(phrase, line)
        notes += phrase
        repaired_lines.append(line)
        syllable += place.count
    return problems, [line for line in repaired_lines if line], replace(melody, notes=tuple(notes))


@dataclass(frozen=True)
class _Place:
    """A line of lyrics and its phrase of notes; `first` (note) and `syllable` count from 0."""

    first: int
    syllable: int
    line: list[Sung]
    phrase: list[RawNote]
    notes: Sequence[RawNote]

    @property
    def count(self) -> int:
        return len(self.line)

    @property
    def time(self) -> float:
        near = self.notes[min(self.first, len(self.notes) - 1)]
        return self.phrase[0].start if self.phrase else near.start

    def __str__(self) -> str:
        text = _text(self.line)
        return f"line {self.line[0].line} of the words ({text})"


def _no_syllable(place: _Place, index: int) -> Problem:
    note = place.phrase[index]
    message = (
        f"{place} has {len(place.line)} syllables but {len(place.phrase)} notes from "
        f"{place.time:.2f} s on; note {place.first + index + 1} has none"
    )
    advice = "hold the previous syllable on it with `-`, or remove the note"
    return _of_note("note_without_syllable", place.first + index, note, message, advice)


def _no_note(place: _Place, missing: int) -> list[Problem]:
    message = (
        f"{place} has {len(place.line)} syllables but {len(place.phrase)} notes from "
        f"{place.time:.2f} s on"
    )
    found = []
    for spare in range(missing):
        number = place.syllable + len(place.line) - missing + spare + 1
        note, time, advice = None, place.time, "add a note or drop a syllable"
        if place.phrase:
            index = _longest(place.phrase)
            note, time = place.first + index + 1, place.phrase[index].start
            advice = f"add a note (or split note {note}, the longest of the phrase), or drop one"
        found.append(Problem("syllable_without_note", note, number, time, message, advice))
    return found


def _held_notes(phrase: list[RawNote], count: int) -> list[int]:
    """Notes of a phrase that most likely hold the previous syllable: short, close in time and pitch."""
    typical = max(sum(note.end - note.start for note in phrase) / len(phrase), 1e-3)

    def cost(index: int) -> float:
        before, note = phrase[index - 1], phrase[index]
        gap = max(note.start - before.end, 0.0) / typical
        return gap + (note.end - note.start) / typical + abs(note.pitch - before.pitch) / 12

    likely = sorted(range(1, len(phrase)), key=cost)[:count]
    return sorted(likely) if len(likely) == count else list(range(len(phrase)))[-count:]


def _longest(phrase: list[RawNote]) -> int:
    return max(range(len(phrase)), key=lambda index: phrase[index].end - phrase[index].start)


def _with_slurs(line: list[Sung], held: list[int], size: int) -> list[Sung]:
    running = iter(line)
    return [Sung("-", False, line[0].line) if i in held else next(running) for i in range(size)]


def _with_more_notes(phrase: list[RawNote], line: list[Sung]) -> tuple[list[RawNote], list[Sung]]:
    """Halve the longest notes until each syllable has one; without notes the line is dropped."""
    if not phrase:
        return [], []
    phrase = list(phrase)
    while len(phrase) < len(line):
        index = _longest(phrase)
        note = phrase[index]
        middle = (note.start + note.end) / 2
        phrase[index : index + 1] = [replace(note, end=middle), replace(note, start=middle)]
    return phrase, line


def _without_overlaps(notes: Sequence[RawNote]) -> list[RawNote]:
    """End each note where the next begins; of simultaneous notes keep the highest."""
    kept: list[RawNote] = []
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        if kept and note.start - kept[-1].start < 1e-3:
            lower = kept.pop()
            note = replace(note, text=note.text or lower.text, line=note.line or lower.line)
        kept.append(note)
    return [
        replace(note, end=min(note.end, kept[i + 1].start)) if i + 1 < len(kept) else note
        for i, note in enumerate(kept)
    ]


def _unpronounceable(what: str, note: int | None, time: float | None) -> Problem:
    message, _, advice = what.rpartition("; ")
    return Problem("unpronounceable", note, None, time, message, advice)


def _of_note(kind, index: int, note: RawNote, message: str, advice: str) -> Problem:
    return Problem(kind, index + 1, None, note.start, message, advice)


def _text(line: list[Sung]) -> str:
    return "".join(" " * item.word + item.text for item in line).strip()
