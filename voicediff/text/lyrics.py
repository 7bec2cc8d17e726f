"""Parsing of lyrics into one syllable per note."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from voicediff.errors import DataError
from voicediff.text import hangul
from voicediff.text.numbers import readings, spell_out

#: marks that hold the previous syllable over one more note
SLURS = "-ー－"
#: signs that are read aloud, each with more than one reading
_READ_ALOUD = "%℃°$€£¥₩&"


@dataclass(frozen=True)
class Sung:
    """The lyric of one note: a Hangul syllable, or "-" to hold the previous one.

    `word` is True where a word begins; `line` is the line number in the file, from 1.
    """

    text: str
    word: bool = False
    line: int = 1

    @property
    def slur(self) -> bool:
        return self.text == "-"


def parse_line(line: str, at: str = "lyrics", number: int = 1) -> list[Sung]:
    """The syllables of a line; numbers are read in Korean, punctuation is dropped.

    Raises DataError `at:number` with the word where a letter is neither Hangul nor a digit, and
    where a number or a sign has two readings.
    """
    written = unicodedata.normalize("NFC", line)
    _reject_letters(written, f"{at}:{number}")
    try:
        line = spell_out(written)
    except DataError as error:
        raise DataError(f"{at}:{number}: {error}") from error
    found: list[Sung] = []
    word = True
    for character in line:
        if hangul.is_syllable(character):
            found.append(Sung(character, word, number))
            word = False
        elif character in SLURS:
            found.append(Sung("-", False, number))
        elif character.isspace():
            word = True
    return found


def parse_lyrics(text: str, at: str = "lyrics") -> list[list[Sung]]:
    """Lines of syllables; empty lines are left out. Raises DataError `at:line`."""
    lines = [parse_line(line, at, n) for n, line in enumerate(text.splitlines(), start=1)]
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"{at}: no syllables; write the words in Hangul, a line for each phrase")
    return lines


def read_lyrics(path: str | Path) -> list[list[Sung]]:
    """`parse_lyrics` of a UTF-8 file."""
    return parse_lyrics(read_text(path), str(path))


def numbers_of(path: str | Path) -> list[str]:
    """The reading of each number in a lyrics file, one line of text each.

    Lines that `parse_line` rejects are left out. Raises DataError for unreadable files.
    """
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            pairs = readings(unicodedata.normalize("NFC", line))
        except DataError:
            continue
        found += [f"{path}:{number}: {written} is sung as {read}" for written, read in pairs]
    return found


def read_text(path: str | Path) -> str:
    """A text file as UTF-8, with or without byte order mark. Raises DataError."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from error


def _reject_letters(line: str, at: str) -> None:
    """Raise DataError for the first pronounced character that is neither Hangul nor a digit."""
    for column, character in enumerate(line):
        sung = hangul.is_syllable(character) or character.isdecimal() or character in SLURS
        if (character.isalnum() and not sung) or character in _READ_ALOUD:
            raise DataError(f"{at}: {_complaint(line, column)}")


def _complaint(line: str, column: int) -> str:
    """The error message for the letter at `column`, with the word that contains it."""
    start = line.rfind(" ", 0, column) + 1
    word = line[start:].split()[0]
    letter = line[column]
    kind = f"the {'letter' if letter.isalnum() else 'sign'} {letter!r}"
    if letter.isascii() and letter.isalpha():
        kind = "Latin letters"
    return f"{word!r} has {kind} (column {column + 1}); write in Hangul how it is sung"
