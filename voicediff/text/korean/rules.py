"""The articles of the Standard Pronunciation (표준 발음법), one function each.

Korean spelling is morphophonemic: the pronunciation at a syllable boundary follows from the coda
before it and the onset after it. Every function takes such a `Joint` and returns it after one
article; `speak` applies all articles in order to each joint of a line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from voicediff.text import hangul
from voicediff.text.korean import lexicon
from voicediff.text.korean.lexicon import APART, INSERT, NASAL, TENSE
from voicediff.text.korean.marks import find_marks

#: increased with every change of the pronunciation of any line
VERSION = "1"

_LETTER = "@"  # the name of a letter before a vowel, article 16
LETTER_NAMES = "디귿 지읒 치읓 키읔 티읕 피읖 히읗".split()
_LETTERS = re.compile("|".join(LETTER_NAMES))
_TENSE = dict(zip("ㄱㄷㅂㅅㅈ", "ㄲㄸㅃㅆㅉ", strict=True))
_ASPIRATED = dict(zip("ㄱㄷㅂㅈ", "ㅋㅌㅍㅊ", strict=True))
_NASAL = dict(zip("ㄱㄷㅂ", "ㅇㄴㅁ", strict=True))
#: the spoken coda of each written coda, before a consonant and at the end
_SPOKEN = {
    letter: spoken
    for spoken, letters in {
        "": ("",),
        "ㄱ": "ㄱㄲㅋㄳㄺ",
        "ㄴ": "ㄴㄵㄶ",
        "ㄷ": "ㄷㅅㅆㅈㅊㅌㅎ",
        "ㄹ": "ㄹㄼㄽㄾㅀ",
        "ㅁ": "ㅁㄻ",
        "ㅂ": "ㅂㅍㄿㅄ",
        "ㅇ": "ㅇ",
    }.items()
    for letter in letters
}
#: double codas as the letter that stays and the letter that moves to a following vowel
_DOUBLE = dict(
    zip(
        "ㄳㄵㄶㄺㄻㄼㄽㄾㄿㅀㅄ",
        "ㄱㅆ ㄴㅈ ㄴㅎ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅆ ㄹㅌ ㄹㅍ ㄹㅎ ㅂㅆ".split(),
        strict=True,
    )
)

#: before ㅎ within a word: the remaining coda, and the new onset
_BEFORE_H = dict(
    zip("ㅈㄵㄺㄼㄾㄿ", (("", "ㅊ"), *"ㄴㅊ ㄹㅋ ㄹㅍ ㄹㅌ ㄹㅍ".split()), strict=True)
)


@dataclass(frozen=True)
class Joint:
    """The boundary of two syllables: the letters that change, and their context.

    `before` and `after` are the written syllables, `blank` is True if a word ends between them,
    `mark` is a mark of the word lists or "".
    """

    coda: str
    onset: str
    before: str
    after: str
    blank: bool = False
    mark: str = ""

    @property
    def vowel(self) -> str:
        return hangul.decompose(self.after)[1]

    @property
    def apart(self) -> bool:
        """Whether an independent word follows (article 15)."""
        return self.blank or self.mark == APART


def speak(line: str) -> str:
    """`line` in phonetic spelling, e.g. `꽃잎` -> `꼰닙`; blanks stay, all else must be Hangul."""
    places = [i for i, character in enumerate(line) if character != " "]
    marks = find_marks(line)
    for match in _LETTERS.finditer(line):
        marks.setdefault(match.end(), _LETTER)
    spoken = [list(article_5(line[i])) for i in places]
    for k, (i, j) in enumerate(itertools.pairwise(places)):
        coda, spoken[k + 1][0] = _boundary(line[i], line[j], j > i + 1, marks.get(j, ""))
        spoken[k][2] = coda
    if spoken:
        spoken[-1][2] = _SPOKEN[spoken[-1][2]]
    result = list(line)
    for i, parts in zip(places, spoken, strict=True):
        result[i] = hangul.compose(*_no_glide(*parts))
    return "".join(result)


@lru_cache(maxsize=50000)
def _boundary(before: str, after: str, blank: bool, mark: str) -> tuple[str, str]:
    """The spoken coda and onset at the boundary of two written syllables."""
    coda, onset = hangul.decompose(before)[2], hangul.decompose(after)[0]
    joint = Joint(coda, onset, before, after, blank, mark)
    for article in ARTICLES:
        joint = article(joint)
    return joint.coda, joint.onset


def article_5(syllable: str) -> tuple[str, str, str]:
    """ㅢ after a consonant is ㅣ: 희망 [히망], 무늬 [무니]. Elsewhere it stays ㅢ."""
    lead, vowel, tail = hangul.decompose(syllable)
    return lead, "ㅣ" if vowel == "ㅢ" and lead != "ㅇ" else vowel, tail


def _no_glide(lead: str, vowel: str, tail: str) -> tuple[str, str, str]:
    """Article 5, first exception: 져, 쪄, 쳐 are [저, 쩌, 처], also where ㅈ or ㅊ results from another article."""
    return lead, "ㅓ" if vowel == "ㅕ" and lead in "ㅈㅉㅊ" else vowel, tail


def article_9(joint: Joint) -> Joint:
    """Seven codas sound: ㄲ ㅋ [ㄱ], ㅅ ㅆ ㅈ ㅊ ㅌ [ㄷ], ㅍ [ㅂ]; double codas keep one (10, 11)."""
    return replace(joint, coda=_SPOKEN[joint.coda])


def article_10(joint: Joint) -> Joint:
    """밟 is [밥] before a consonant, 넓 is [넙] in 넓죽하다 and 넓둥글다."""
    step = joint.before == "밟"
    flat = joint.before == "넓" and joint.after in "죽둥적"
    return replace(joint, coda="ㅂ") if joint.coda == "ㄼ" and (step or flat) else joint


def article_11(joint: Joint) -> Joint:
    """The ㄺ of a verb is [ㄹ] before ㄱ: 맑게 [말께], but 닭과 [닥꽈]."""
    verb = joint.coda == "ㄺ" and joint.before in lexicon.STEMS_RG and joint.onset == "ㄱ"
    return replace(joint, coda="ㄹ", onset="ㄲ") if verb and not joint.blank else joint


def article_12(joint: Joint) -> Joint:
    """ㅎ and ㄱ ㄷ ㅂ ㅈ merge to ㅋ ㅌ ㅍ ㅊ; ㅎ makes ㅅ tense and is silent before a vowel."""
    coda, onset = joint.coda, joint.onset
    if coda not in tuple("ㅎㄶㅀ"):
        return _aspirated_onset(joint)
    stays = _DOUBLE.get(coda, "")[:1]
    if onset in _ASPIRATED:
        return replace(joint, coda=stays, onset=_ASPIRATED[onset])
    if onset == "ㅅ":
        return replace(joint, coda=stays, onset="ㅆ")
    if onset == "ㅎ" and not stays:
        return replace(joint, coda="", onset="ㅌ")
    if onset in "ㅇㅎ" and not (joint.apart and coda == "ㅎ"):
        return replace(joint, coda=stays)
    return joint


def _aspirated_onset(joint: Joint) -> Joint:
    """The first supplement of article 12: 먹히다 [머키다], and across words 옷 한 벌 [오탄벌]."""
    if joint.onset != "ㅎ":
        return joint
    stays, onset = "", _ASPIRATED.get(_SPOKEN[joint.coda])
    if not joint.apart:
        stays, onset = _BEFORE_H.get(joint.coda, (stays, onset))
    return replace(joint, coda=stays, onset=onset) if onset else joint


def article_13(joint: Joint) -> Joint:
    """A single coda moves to the vowel after it: 옷이 [오시], 밖에 [바께]."""
    moves = joint.onset == "ㅇ" and joint.coda not in ("", "ㅇ", *_DOUBLE)
    return replace(joint, coda="", onset=joint.coda) if moves and not joint.apart else joint


def article_14(joint: Joint) -> Joint:
    """Of a double coda the second moves, ㅅ as ㅆ: 닭을 [달글], 값을 [갑쓸]."""
    if joint.onset != "ㅇ" or joint.coda not in _DOUBLE or joint.apart:
        return joint
    stays, moves = _DOUBLE[joint.coda]
    return replace(joint, coda=stays, onset=moves)


def article_15(joint: Joint) -> Joint:
    """Before an independent word the spoken coda moves: 밭 아래 [바다래], 값있는 [가빈는]."""
    coda = _SPOKEN[joint.coda]
    moves = joint.apart and joint.onset == "ㅇ" and coda not in ("", "ㅇ")
    return replace(joint, coda="", onset=coda) if moves else joint


def article_16(joint: Joint) -> Joint:
    """The names of letters: 디귿이 [디그시], 키읔이 [키으기], 피읖이 [피으비]."""
    if joint.mark != _LETTER:
        return joint
    if joint.onset != "ㅇ" or joint.blank:
        return replace(joint, coda=_SPOKEN[joint.coda])
    return replace(joint, coda={"ㅋ": "ㄱ", "ㅍ": "ㅂ"}.get(joint.coda, "ㅅ"))


def article_17(joint: Joint) -> Joint:
    """ㄷ and ㅌ before 이, 여, and ㄷ before 히, 혀 are [ㅈ, ㅊ]: 굳이 [구지], 닫혀 [다처]."""
    if joint.apart or joint.mark == _LETTER or joint.vowel not in "ㅣㅕ":
        return joint
    changes = {"ㄷㅇ": "ㅈ", "ㅌㅇ": "ㅊ", "ㄷㅎ": "ㅊ", "ㄾㅇ": "ㅊ", "ㄾㅎ": "ㅊ"}
    onset = changes.get(joint.coda + joint.onset)
    stays = "ㄹ" if joint.coda == "ㄾ" else ""
    return replace(joint, coda=stays, onset=onset) if onset else joint


def article_18(joint: Joint) -> Joint:
    """ㄱ ㄷ ㅂ before ㄴ, ㅁ are nasal: 국물 [궁물], 밥 먹는다 [밤멍는다]."""
    if joint.onset not in "ㄴㅁ":
        return joint
    return replace(joint, coda=_NASAL.get(joint.coda, joint.coda))


def article_19(joint: Joint) -> Joint:
    """ㄹ after ㅁ, ㅇ and after ㄱ, ㄷ, ㅂ is [ㄴ]: 담력 [담녁], 막론 [망논]."""
    if joint.onset != "ㄹ" or joint.coda not in tuple("ㅁㅇㄱㄷㅂ"):
        return joint
    return replace(joint, onset="ㄴ")


def article_20(joint: Joint) -> Joint:
    """ㄴ next to ㄹ is [ㄹ]: 난로 [날로], 칼날 [칼랄]; some words have [ㄴㄴ]: 의견란 [의견난]."""
    if joint.mark == NASAL and joint.onset == "ㄹ":
        return replace(joint, onset="ㄴ")
    if {joint.coda, joint.onset} == {"ㄴ", "ㄹ"}:
        return replace(joint, coda="ㄹ", onset="ㄹ")
    return joint


def article_23(joint: Joint) -> Joint:
    """ㄱ ㄷ ㅂ ㅅ ㅈ after a coda spoken as [ㄱ, ㄷ, ㅂ] are tense: 국밥 [국빱]."""
    return _tensed(joint) if _SPOKEN[joint.coda] in tuple("ㄱㄷㅂ") else joint


def article_24(joint: Joint) -> Joint:
    """After the ㄵ of a verb, and its ㄴ, ㅁ, ㄻ where marked: 앉고 [안꼬], 신고 [신꼬]."""
    return _tensed(joint) if joint.coda == "ㄵ" else joint


def article_25(joint: Joint) -> Joint:
    """After the ㄼ, ㄾ of a verb: 넓게 [널께], 핥다 [할따], but 여덟도 [여덜도]."""
    noun = joint.blank or joint.before == "덟"
    return _tensed(joint) if joint.coda in tuple("ㄼㄾ") and not noun else joint


def articles_26_to_28(joint: Joint) -> Joint:
    """Tensing that the spelling does not show, by the word lists: 갈등 [갈뜽], 할 것 [할껃], 강가 [강까]."""
    return _tensed(joint) if joint.mark == TENSE else joint


def articles_29_and_30(joint: Joint) -> Joint:
    """ㄴ is inserted before 이, 야, 여, 요, 유: 꽃잎 [꼰닙], 솔잎 [솔립], 나뭇잎 [나문닙]."""
    inserted = joint.mark == INSERT and joint.onset == "ㅇ" and joint.coda
    return replace(joint, coda=_SPOKEN[joint.coda], onset="ㄴ") if inserted else joint


def _tensed(joint: Joint) -> Joint:
    return replace(joint, onset=_TENSE.get(joint.onset, joint.onset))


#: in order of application
ARTICLES: tuple[Callable[[Joint], Joint], ...] = (
    articles_29_and_30,
    article_16,
    article_17,
    article_12,
    article_15,
    article_13,
    article_14,
    article_11,
    articles_26_to_28,
    article_24,
    article_25,
    article_10,
    article_23,
    article_9,
    article_19,
    article_18,
    article_20,
)
