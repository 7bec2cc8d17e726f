"""Korean grapheme-to-phone conversion, and phone error rates.

There are two pronouncers: `rules`, the articles of the Standard Pronunciation (needs no package), and
`g2pk` (Park 2019), which uses word classes from MeCab and is installed by `voicediff[g2pk]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from voicediff.errors import ConfigError, DataError
from voicediff.optional import installed_version
from voicediff.text import hangul, korean
from voicediff.text.phones import Syllable, from_spoken

Pronouncer = Literal["rules", "g2pk"]
PRONOUNCERS: tuple[Pronouncer, ...] = ("rules", "g2pk")
LONGEST = 400  # characters of a line; lyric lines have some 20


def pronouncer_name(pronouncer: Pronouncer = "rules") -> str:
    """The pronouncer and its version, stored with every token list: `rules 1`, `g2pk 0.9.4`.

    Raises ConfigError for an unknown pronouncer.
    """
    if pronouncer not in PRONOUNCERS:
        raise ConfigError(f"no pronouncer {pronouncer!r}; known: {', '.join(PRONOUNCERS)}")
    version = korean.VERSION if pronouncer == "rules" else installed_version("g2pk")
    return f"{pronouncer} {version or ''}".strip()


@lru_cache(maxsize=20000)
def pronounce(line: str, pronouncer: Pronouncer = "rules") -> str:
    """A lyric line in phonetic spelling, syllable by syllable: `같이 가` -> `가치 가`.

    Codas move across spaces, as in singing, but not across lines. Raises DataError for anything but
    Hangul and spaces, and if the pronouncer returns other characters or another number of
    syllables; ConfigError if g2pk cannot be loaded.
    """
    wrong = [c for c in line if not (c == " " or hangul.is_syllable(c))]
    if wrong:
        raise DataError(f"{line!r}: {wrong[0]!r} cannot be pronounced; write it in Hangul")
    if len(line) > LONGEST:
        raise DataError(
            f"{line[:20]!r}...: {len(line)} characters in one line; break it into lines"
        )
    spoken = korean.speak(line) if pronouncer == "rules" else _by_g2pk(line, pronouncer)
    kept = [c == " " or hangul.is_syllable(c) for c in spoken]
    if len(spoken.replace(" ", "")) != len(line.replace(" ", "")) or not all(kept):
        raise DataError(f"{line!r}: {pronouncer} returns {spoken!r}; write it as it is sung")
    return spoken


def _by_g2pk(line: str, pronouncer: Pronouncer) -> str:
    pronouncer_name(pronouncer)
    from voicediff.text.korean.with_g2pk import converter

    return converter()(line)


def phones_of(line: str, pronouncer: Pronouncer = "rules") -> list[Syllable]:
    """The phones of a lyric line, one entry for each Hangul syllable."""
    return from_spoken(pronounce(line, pronouncer))


def phone_errors(reference: Sequence[str], found: Sequence[str]) -> int:
    """Levenshtein distance: minimum number of insertions, deletions and substitutions."""
    row = list(range(len(found) + 1))
    for i, wanted in enumerate(reference, start=1):
        before, row[0] = row[0], i
        for j, phone in enumerate(found, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (wanted != phone))
    return row[-1]


def phone_error_rate(
    references: Sequence[Sequence[Syllable]], found: Sequence[Sequence[Syllable]]
) -> float:
    """Errors divided by the phones of the references, over lines of syllables."""
    pairs = [(_tokens(a), _tokens(b)) for a, b in zip(references, found, strict=True)]
    total = sum(len(reference) for reference, _ in pairs)
    if not total:
        raise DataError("phone error rate: the reference has no phones; give at least one line")
    return sum(phone_errors(*pair) for pair in pairs) / total


def _tokens(line: Sequence[Syllable]) -> list[str]:
    return [token for syllable in line for token in syllable.tokens]
