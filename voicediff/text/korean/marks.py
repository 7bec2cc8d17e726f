"""Marks of pronunciations that the spelling does not show, from word lists and verb endings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voicediff.text import hangul
from voicediff.text.korean import lexicon
from voicediff.text.korean.lexicon import APART, INSERT, MARKS, TENSE


@dataclass(frozen=True)
class _Entry:
    """A word of the lists: marks by their index in the word, and where it applies."""

    word: str
    marks: dict[int, str]
    anywhere: bool
    whole: bool

    def applies(self, line: str, place: int) -> bool:
        if self.anywhere or not line.startswith(self.word, place):
            return line.startswith(self.word, place)
        end = place + len(self.word)
        starts = place == 0 or line[place - 1] == " "
        ends = end == len(line) or line[end] == " " or line.startswith(lexicon.MAY_FOLLOW, end)
        return ends or (starts and not self.whole)


def find_marks(line: str) -> dict[int, str]:
    """Marks of `lexicon` by the index of the syllable whose onset they change."""
    found: dict[int, str] = {}
    for pattern, mark in _PATTERNS:
        found.update((match.end(), mark) for match in pattern.finditer(line))
    for place, marks in _entries_in(line):
        found.update((place + offset, mark) for offset, mark in marks.items())
    return found


def _entries_in(line: str) -> Iterator[tuple[int, dict[int, str]]]:
    for place in range(len(line) - 1):
        for entry in _ENTRIES.get(line[place : place + 2], ()):
            if entry.applies(line, place):
                yield place, entry.marks
                break


def _entry(text: str) -> _Entry:
    word, marks = "", {}
    for character in text.strip("^$"):
        if character in MARKS:
            marks[len(word)] = character
        else:
            word += character
    return _Entry(word, marks, text.startswith("^"), text.endswith("$"))


def _index(*lists: str) -> dict[str, list[_Entry]]:
    """Entries by their first two syllables, longest first."""
    index: dict[str, list[_Entry]] = {}
    for text in " ".join(lists).split():
        entry = _entry(text)
        index.setdefault(entry.word[:2], []).append(entry)
    for entries in index.values():
        entries.sort(key=lambda entry: len(entry.word), reverse=True)
    return index


def _any(words: Iterable[str]) -> str:
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


def _syllables(leads: str = hangul.LEADS, vowels: str = hangul.VOWELS, tails: str = "") -> str:
    """A character class; without `tails`, syllables with any tail."""
    chosen = tuple(tails) or hangul.TAILS
    return (
        "[" + "".join(hangul.compose(a, v, t) for a in leads for v in vowels for t in chosen) + "]"
    )


def _stem_patterns() -> Iterator[str]:
    """Article 24: a stem in ㄴ or ㅁ before an ending, at the beginning of a word."""
    before = "(?:(?<![가-힣])" + "".join(f"|(?<={p})" for p in lexicon.STEM_PREFIXES) + ")"
    barred = f"(?!{_any(lexicon.NOT_STEMS)})"
    for stems, endings in lexicon.STEMS.items():
        words = stems.split()
        start = before if len(words) == 1 else ""
        yield f"{start}{barred}{_any(words)}(?={_any(endings.split())})"
    yield f"{before}검(?=지 ?(?:않|못|도|는|만))"


def _modifier_patterns() -> Iterator[str]:
    """Article 27: the future modifier before a noun, and endings that begin with ㄹ."""
    rieul, lax = _syllables(tails="ㄹ"), _syllables("ㄱㄷㅂㅅㅈ")
    modifiers = f"(?<!역){_any(lexicon.MODIFIERS)}"  # 역할 is a noun
    after = f"(?:$| |{_any(lexicon.AFTER_DEPENDENT)})"
    yield f"{rieul} (?={_any(lexicon.DEPENDENT)}{after})"
    yield f"{modifiers} (?={lax})"
    yield f"{rieul}(?={_any(lexicon.ENDINGS_L)})"
    endings = _any(lexicon.ENDINGS_MODIFIER)
    yield f"(?:{modifiers}|(?<=[가-힣])(?<![마가노고])을)(?={endings})"
    yield "줄(?=게)"


def _insertion_patterns() -> Iterator[str]:
    """Article 29, second supplement: two words pronounced as one."""
    glides = _syllables("ㅇ", "ㅣㅑㅕㅛㅠㅖㅒ")
    coda = _syllables(tails="".join(hangul.TAILS[1:]))
    yield f"(?<![가-힣])못(?: (?={glides})|(?={_any(lexicon.VERBS_AFTER_NOT)}))"
    yield "[한할된될던은는을운] (?=일(?:이|을|은|도|만|에|로| |$))"
    yield f"{coda} (?={_any(lexicon.NOUNS_AFTER_BLANK)})"
    yield f"{coda}(?<!을)(?<!은) (?={_any(lexicon.VERBS_AFTER_BLANK)})"
    yield f"{coda}(?=잎)"
    yield "(?<![가-힣])옛 ?(?=일|이야기)"
    yield "(?<![가-힣])한 (?=입)"


_ENTRIES = _index(
    lexicon.SINO_KOREAN,
    lexicon.COMPOUNDS,
    lexicon.INSERTION,
    lexicon.APART_WORDS,
    lexicon.NASALS,
)
_PATTERNS = [
    *((re.compile(pattern), TENSE) for pattern in _stem_patterns()),
    *((re.compile(pattern), TENSE) for pattern in _modifier_patterns()),
    *((re.compile(pattern), INSERT) for pattern in _insertion_patterns()),
    (re.compile(r"(?<![가-힣])[못첫](?=[아어오우애와])"), APART),
]
