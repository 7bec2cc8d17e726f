"""What every token list has: symbols, their indices, and the roles they play in a syllable."""

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
    """What a tokenizer needs to know of a note."""

    start: float
    syllable: str
    slur: bool
    phones: tuple[str, ...] | None


class Song(Protocol):
    """What a tokenizer needs to know of a score."""

    notes: Sequence[Sung]

    def lyric_lines(self) -> list[tuple[str, tuple[int, ...]]]: ...


class Tokenizer(ABC):
    """A list of symbols and the way from a score's syllables to them.

    `symbols[0]` is padding, `symbols[1]` the silence of rests. A list is kept with `save` in the
    folder of an experiment and compared with `load`, so that no model reads another's tokens.
    """

    name: str
    symbols: list[str]
    #: how text becomes sound; another pronouncer may be set at any time, the symbols are the same
    pronouncer: Pronouncer = "rules"
    pronounced: bool = True

    @property
    def g2p(self) -> str:
        """The pronouncer with its version, e.g. `rules 1`; "" where text stays as written."""
        return pronouncer_name(self.pronouncer) if self.pronounced else ""

    @property
    def silence(self) -> int:
        return self.symbols.index(SILENCE)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any symbol."""
        text = json.dumps([self.name, self.symbols])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def fit(self, lines: Iterable[str]) -> None:  # noqa: B027
        """Learn from the training lyrics; most tokenizers have nothing to learn."""

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """Symbols to indices. Raises DataError with the symbols that are not in the list."""
        symbols = list(symbols)
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        missing = sorted(set(symbols) - set(index))
        if missing:
            raise DataError(f"{self.name} tokens: {_few(missing)} not in the list of symbols")
        return [index[symbol] for symbol in symbols]

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Indices back to symbols."""
        return [self.symbols[index] for index in indices]

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json`: name, g2p, symbols and their hash."""
        content = {"name": self.name, "g2p": self.g2p, "hash": self.hash, "symbols": self.symbols}
        write_json(Path(folder) / FILE, content)

    def load(self, folder: str | Path) -> None:
        """Take over what `save` wrote; DataError says how a stored list differs from this one.

        A list that was made with another pronouncer is accepted: its symbols are the same.
        """
        path = Path(folder) / FILE
        stored = read_stored(path)
        if stored["name"] != self.name:
            raise DataError(
                f"{path}: holds {stored['name']!r} tokens, asked for {self.name!r}; name the same"
            )
        self._compare(path, stored["symbols"])
        if bool(stored["g2p"]) != self.pronounced:
            raise DataError(
                f"{path}: made with g2p {stored['g2p'] or 'none'!r}, here it is "
                f"{self.g2p or 'none'!r}; use the same"
            )

    def syllables(self, score: Song) -> list[list[Part]]:
        """(role, symbol) pairs for each note of the score, in singing order.

        A syllable over several notes keeps its onset on the first and its coda on the last; its
        vowel is held on all of them. Raises DataError with note and time where a syllable is
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
        """The whole syllable of each note that begins one, by the note's index."""

    @abstractmethod
    def hold(self, symbol: str) -> str:
        """What goes on sounding of a nucleus, e.g. `a` of `wa`."""

    def _compare(self, path: Path, stored: list[str]) -> None:
        missing = [symbol for symbol in stored if symbol not in self.symbols]
        extra = [symbol for symbol in self.symbols if symbol not in stored]
        if missing or extra:
            raise DataError(
                f"{path}: another vocabulary; this one lacks {_few(missing)}, "
                f"the stored one lacks {_few(extra)}; use the tokenizer it was trained with"
            )
        if stored != self.symbols:
            raise DataError(f"{path}: the same symbols in another order; train again")


def check_syllables(score: Song, indices: Iterable[int]) -> None:
    """DataError with number and time of the first of these notes that has no syllable."""
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
        raise DataError(f"{path}: not a token list (other things than text); write it again")
    return found


def _few(symbols: Sequence[str], most: int = 8) -> str:
    shown = " ".join(symbols[:most]) or "nothing"
    return shown + (f" and {len(symbols) - most} more" if len(symbols) > most else "")
