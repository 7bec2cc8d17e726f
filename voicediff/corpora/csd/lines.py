"""Generated lines of lyrics with a given number of syllables, and their pronunciation.

The sound changes of standard Korean are implemented here a second time, so that the `txt` files of
the corpus are independent of `voicediff.text.pronunciation`, which stage 1 compares with them.
"""

from __future__ import annotations

import numpy as np

from voicediff.corpora.csd.words import Words
from voicediff.text import hangul

_TRIES = 400
# word class and following particle (after open syllable/after closed syllable)
_TEMPLATES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("beings", "가/이"), ("doing", "")),
    (("beings", "는/은"), ("doing", "")),
    (("beings", "도"), ("manners", ""), ("doing", "")),
    (("beings", "가/이"), ("manners", ""), ("doing", "")),
    (("manners", ""), ("beings", "가/이"), ("doing", "")),
    (("qualities", ""), ("beings", "가/이"), ("doing", "")),
    (("qualities", ""), ("beings", "는/은"), ("manners", ""), ("doing", "")),
    (("places", "에서"), ("beings", "가/이"), ("doing", "")),
    (("places", "에"), ("beings", "도"), ("doing", "")),
    (("places", "에서"), ("manners", ""), ("doing", "")),
    (("things", "를/을"), ("having", "")),
    (("qualities", ""), ("things", "를/을"), ("having", "")),
    (("beings", "가/이"), ("things", "를/을"), ("having", "")),
    (("beings", "와/과"), ("things", "를/을"), ("manners", ""), ("having", "")),
    (("places", "에서"), ("things", "를/을"), ("having", "")),
    (("things", ""), ("things", ""), ("qualities", ""), ("things", "")),
    (("manners", ""), ("qualities", ""), ("things", "")),
    (("things", "와/과"), ("things", "")),
    (("manners", ""), ("doing", "")),
    (("qualities", ""), ("beings", "")),
    (("manners", ""), ("manners", "")),
    (("doing", ""), ("doing", "")),
    (("having", ""),),
    (("doing", ""),),
    (("beings", ""),),
    (("manners", ""),),
)


def write_line(syllables: int, words: Words, rng: np.random.Generator) -> str:
    """A line with exactly this number of syllables; long lines have several sentences."""
    if syllables <= 0:
        return ""
    if syllables > 14:
        first = int(rng.integers(6, 9))
        rest = write_line(syllables - first, words, rng)
        return write_line(first, words, rng) + " " + rest
    for _ in range(_TRIES):
        template = _TEMPLATES[int(rng.integers(len(_TEMPLATES)))]
        line = " ".join(_slot(words, kind, particle, rng) for kind, particle in template)
        if _count(line) == syllables:
            return line
    first = max(syllables // 2, 1)
    if syllables == 1:
        single = [word for word in words.things if _count(word) == 1]
        return single[int(rng.integers(len(single)))]
    return write_line(first, words, rng) + " " + write_line(syllables - first, words, rng)


def spoken(line: str) -> str:
    """A line in phonetic spelling, syllable by syllable: `같이 꽃을 먹는다` -> `가치 꼬츨 멍는다`.

    Sound changes apply across spaces between words.
    """
    places = [i for i, character in enumerate(line) if hangul.is_syllable(character)]
    parts = [list(hangul.decompose(line[i])) for i in places]
    for i in range(len(parts) - 1):
        if places[i + 1] - places[i] > 1 and parts[i + 1][0] == "ㅇ":
            parts[i][2] = _closed(
                parts[i][2]
            )  # before a vowel of the next word the coda is neutralised
        _apply_changes(parts[i], parts[i + 1])
    for part in parts:
        if part[0] != "ㅇ" and part[1] == "ㅢ":
            part[1] = "ㅣ"
        if part[0] in "ㅈㅉㅊ":  # 져 is pronounced 저
            part[1] = {"ㅑ": "ㅏ", "ㅕ": "ㅓ", "ㅛ": "ㅗ", "ㅠ": "ㅜ"}.get(part[1], part[1])
        part[2] = _CLOSED.get(part[2], part[2])
    out = list(line)
    for place, part in zip(places, parts, strict=True):
        out[place] = hangul.compose(*part)
    return "".join(out)


def _count(line: str) -> int:
    return sum(map(hangul.is_syllable, line))


def _slot(words: Words, kind: str, particle: str, rng: np.random.Generator) -> str:
    choices = getattr(words, kind)
    word = choices[int(rng.integers(len(choices)))]
    if "/" in particle:
        after_open, after_closed = particle.split("/")
        particle = after_closed if hangul.decompose(word[-1])[2] else after_open
    return word + particle


#: a tail before a consonant or at the end
_CLOSED = dict(
    zip(
        "ㄲㄳㄵㄶㄺㄻㄼㄽㄾㄿㅀㅄㅅㅆㅈㅊㅋㅌㅍㅎ",
        "ㄱㄱㄴㄴㄱㅁㄹㄹㄹㅂㄹㅂㄷㄷㄷㄷㄱㄷㅂㄷ",
        strict=True,
    )
)
#: a double tail before a vowel: the part that stays and the part that moves
_PAIRS = {
    "ㄳ": ("ㄱ", "ㅆ"),
    "ㄵ": ("ㄴ", "ㅈ"),
    "ㄺ": ("ㄹ", "ㄱ"),
    "ㄻ": ("ㄹ", "ㅁ"),
    "ㄼ": ("ㄹ", "ㅂ"),
    "ㄽ": ("ㄹ", "ㅆ"),
    "ㄾ": ("ㄹ", "ㅌ"),
    "ㄿ": ("ㄹ", "ㅍ"),
    "ㅄ": ("ㅂ", "ㅆ"),
}
_TENSE = dict(zip("ㄱㄷㅂㅅㅈ", "ㄲㄸㅃㅆㅉ", strict=True))
_ASPIRATED = dict(zip("ㄱㄷㅂㅈ", "ㅋㅌㅍㅊ", strict=True))
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}
_BREATHY = {"ㅎ": "", "ㄶ": "ㄴ", "ㅀ": "ㄹ"}


def _apply_changes(here: list[str], following: list[str]) -> None:
    """Change the tail of one syllable and the lead of the next by the rules of sound change."""
    tail, lead = here[2], following[0]
    if not tail:
        return
    if tail in _BREATHY and lead in _ASPIRATED:
        here[2], following[0] = _BREATHY[tail], _ASPIRATED[lead]
    elif tail in _BREATHY and lead == "ㅅ":
        here[2], following[0] = _BREATHY[tail], "ㅆ"
    elif lead == "ㅇ":
        _liaison(here, following)
    elif lead == "ㅎ" and _closed(tail) in _ASPIRATED:
        _aspirate(here, following)
    else:
        _assimilate(here, following)


def _liaison(here: list[str], following: list[str]) -> None:
    """A tail moves to a following vowel; ㄷ and ㅌ before 이 become ㅈ and ㅊ; ㅎ is lost."""
    tail = here[2]
    if tail == "ㅇ":
        return
    if tail in _BREATHY:
        rest = _BREATHY[tail]
        here[2], following[0] = "", rest or "ㅇ"
        return
    stays, moves = _PAIRS.get(tail, ("", tail))
    if following[1] == "ㅣ":
        moves = {"ㄷ": "ㅈ", "ㅌ": "ㅊ"}.get(moves, moves)
    here[2], following[0] = stays, moves


def _aspirate(here: list[str], following: list[str]) -> None:
    stays, moves = _PAIRS.get(here[2], ("", _closed(here[2])))
    following[0] = _ASPIRATED.get(moves, _ASPIRATED[_closed(here[2])])
    here[2] = stays


def _assimilate(here: list[str], following: list[str]) -> None:
    """Obstruents become nasal before nasals, and make lax consonants tense; ㄴ and ㄹ agree."""
    closed, lead = _closed(here[2]), following[0]
    if closed in _NASAL:
        following[0] = _TENSE.get(lead, lead)
        if lead == "ㄹ":
            following[0] = lead = "ㄴ"
        if lead in "ㄴㅁ":
            closed = _NASAL[closed]
    elif lead == "ㄹ" and closed in "ㅁㅇ":
        following[0] = "ㄴ"
    elif {closed, lead} == {"ㄴ", "ㄹ"} or (closed == "ㄹ" and lead == "ㄴ"):
        closed = following[0] = "ㄹ"
    elif here[2] in "ㄵㄻㄼㄾ":
        following[0] = _TENSE.get(lead, lead)
    here[2] = closed


def _closed(tail: str) -> str:
    return _CLOSED.get(tail, tail)
