"""Composition and decomposition of Hangul syllables.

A syllable is lead, vowel and tail; Unicode orders the 19 x 21 x 28 combinations from U+AC00 on.
"""

from __future__ import annotations

from voicediff.errors import DataError

LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
TAILS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_FIRST, _LAST = 0xAC00, 0xD7A3
_LEAD, _VOWEL, _TAIL = 0x1100, 0x1161, 0x11A7  # conjoining jamo; tails count from 1


def is_syllable(character: str) -> bool:
    """Whether this is one composed Hangul syllable."""
    return len(character) == 1 and _FIRST <= ord(character) <= _LAST


def decompose(syllable: str) -> tuple[str, str, str]:
    """`강` -> (`ㄱ`, `ㅏ`, `ㅇ`); the tail may be "". Raises DataError for anything else."""
    if not is_syllable(syllable):
        raise DataError(f"{syllable!r}: is not one Hangul syllable")
    lead, rest = divmod(ord(syllable) - _FIRST, len(VOWELS) * len(TAILS))
    vowel, tail = divmod(rest, len(TAILS))
    return LEADS[lead], VOWELS[vowel], TAILS[tail]


def compose(lead: str, vowel: str, tail: str = "") -> str:
    """(`ㄱ`, `ㅏ`, `ㅇ`) -> `강`. Raises DataError for letters in a wrong position."""
    if lead not in tuple(LEADS) or vowel not in tuple(VOWELS) or tail not in TAILS:
        raise DataError(f"{lead!r} {vowel!r} {tail!r}: do not make a Hangul syllable")
    place = LEADS.index(lead) * len(VOWELS) + VOWELS.index(vowel)
    return chr(_FIRST + place * len(TAILS) + TAILS.index(tail))


def conjoining(syllable: str) -> tuple[str, str, str]:
    """The three parts as conjoining jamo, where leads and tails are different characters.

    The silent lead `ᄋ` and a missing tail are "".
    """
    lead, vowel, tail = decompose(syllable)
    return (
        "" if lead == "ㅇ" else chr(_LEAD + LEADS.index(lead)),
        chr(_VOWEL + VOWELS.index(vowel)),
        chr(_TAIL + TAILS.index(tail)) if tail else "",
    )


def conjoining_letters() -> tuple[list[str], list[str], list[str]]:
    """All leads except the silent one, all vowels and all tails as conjoining jamo."""
    leads = [chr(_LEAD + i) for i, letter in enumerate(LEADS) if letter != "ㅇ"]
    vowels = [chr(_VOWEL + i) for i in range(len(VOWELS))]
    tails = [chr(_TAIL + i) for i in range(1, len(TAILS))]
    return leads, vowels, tails
