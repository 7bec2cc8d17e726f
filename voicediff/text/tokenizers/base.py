"""Interface of tokenizers: symbols, their indices, and their roles in a syllable."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from voicediff.errors import DataError
from voicediff.files import write_json
from voicediff.text.lyrics import read_text
from voicediff.text.pronunciation import Pronouncer, pronouncer_name

PAD, SILENCE = "<pad>", "<sil>"
FILE = "tokenizer.json"

Role = Literal["onset", "nucleus", "coda"]
Part = tuple[Role, str]


class Sung(Protocol):
    """The attributes of a note that a tokenizer uses."""

    start: float
    syllable: str
    slur: bool
    phones: tuple[str, ...] | None


class Song(Protocol):
    """The attributes of a score that a tokenizer uses."""

    notes: Sequence[Sung]

    def lyric_lines(self) -> list[tuple[str, tuple[int, ...]]]: ...


class Tokenizer(ABC):
    """A list of symbols and the conversion of a score's syllables to symbols.

    `symbols[0]` is padding, `symbols[1]` the silence of rests. `save` stores the list in the folder
    of an experiment, and `load` compares it, so that a model never receives other tokens.
    """

    name: str
    symbols: list[str]
    #: grapheme-to-phone converter; it may be changed at any time, the symbols do not depend on it
    pronouncer: Pronouncer = "rules"
    pronounced: bool = True

    @property
    def g2p(self) -> str:
        """The pronouncer with its version, e.g. `rules 1`; "" if text is not converted."""
        return pronouncer_name(self.pronouncer) if self.pronounced else ""

    @property
    def silence(self) -> int:
        return self.symbols.index(SILENCE)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that depend on all symbols."""
        text = json.dumps([self.name, self.symbols])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def fit(self, lines: Iterable[str]) -> None:  # noqa: B027
        """Fit to the training lyrics; does nothing in most tokenizers."""

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """Symbols to indices. Raises DataError with the unknown symbols."""
        symbols = list(symbols)
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        missing = sorted(set(symbols) - set(index))
        if missing:
            raise DataError(f"{self.name} tokens: {_few(missing)} not in the list of symbols")
        return [index[symbol] for symbol in symbols]

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Indices to symbols."""
        return [self.symbols[index] for index in indices]

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json`: name, g2p, symbols and their hash."""
        content = {"name": self.name, "g2p": self.g2p, "hash": self.hash, "symbols": self.symbols}
        write_json(Path(folder) / FILE, content)

    def load(self, folder: str | Path) -> None:
        """Load what `save` wrote. Raises DataError with the differences to this list.

        A list that was made with another pronouncer is accepted, because its symbols are the same.
        """
        path = Path(folder) / FILE
        stored = read_stored(path)
        if stored["name"] != self.name:
            raise DataError(
                f"{path}: holds {stored['name']!r} tokens, the configuration asks for {self.name!r}; use the same"
            )
        self._compare(path, stored["symbols"])
        if bool(stored["g2p"]) != self.pronounced:
            raise DataError(
                f"{path}: made with g2p {stored['g2p'] or 'none'!r}, here it is "
                f"{self.g2p or 'none'!r}; use the same"
            )

    def syllables(self, score: Song) -> list[list[Part]]:
        """(role, symbol) pairs of each note of the score, in time order.

        A syllable over several notes has its onset on the first and its coda on the last; its
        vowel is sustained on all of them. Raises DataError with note and time where a syllable is
        missing.
        """
        spelled = self.spell(score)
        result: list[list[Part]] = []
        for index, note in enumerate(score.notes):
            if not note.slur:
                whole = spelled[index]
                parts = whole
            else:
                held = [self.hold(symbol) for role, symbol in whole if role == "nucleus"]
                parts = [("nucleus", symbol) for symbol in held]
                parts += [part for part in whole if part[0] == "coda"]
            if index + 1 < len(score.notes) and score.notes[index + 1].slur:
                parts = [part for part in parts if part[0] != "coda"]
            result.append(parts)
        return result

    @abstractmethod
    def spell(self, score: Song) -> dict[int, list[Part]]:
        """The complete syllable of each note that begins one, by the index of the note."""

    @abstractmethod
    def hold(self, symbol: str) -> str:
        """The sustained part of a nucleus, e.g. `a` of `wa`."""

    def _compare(self, path: Path, stored: list[str]) -> None:
        missing = [symbol for symbol in stored if symbol not in self.symbols]
        extra = [symbol for symbol in self.symbols if symbol not in stored]
        if missing or extra:
            raise DataError(
                f"{path}: another vocabulary; this one lacks {_few(missing)}, "
                f"the stored one lacks {_few(extra)}; use the tokenizer it was trained with"
            )
        if stored != self.symbols:
            raise DataError(
                f"{path}: the same symbols in another order; use the tokenizer it was trained with"
            )


def check_syllables(score: Song, indices: Iterable[int]) -> None:
    """Raise DataError with number and time of the first of these notes without a syllable."""
    for index in indices:
        note = score.notes[index]
        if not note.syllable:
            raise DataError(
                f"note {index + 1} at {note.start:.2f} s has no syllable; add one or mark a slur"
            )


def read_stored(path: Path) -> dict:
    """The content of a `tokenizer.json`: name, g2p, symbols. Raises DataError."""
    try:
        stored = json.loads(read_text(path))
        found = {key: stored[key] for key in ("name", "g2p", "symbols")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: not a token list ({error}); write it again") from error
    texts = [found["name"], found["g2p"]]
    texts += found["symbols"] if isinstance(found["symbols"], list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}: not a token list (not all entries are text); write it again")
    return found


def _few(symbols: Sequence[str], most: int = 8) -> str:
    shown = " ".join(symbols[:most]) or "nothing"
    return shown + (f" and {len(symbols) - most} more" if len(symbols) > most else "")
