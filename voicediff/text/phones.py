"""The phones of the Children's Song Dataset (Choi et al. 2020), by syllables.

Its `txt` files write a syllable as `g_w_a_ng`. The glides `y` and `w` are merged with the following
vowel: the syllable has onset `g`, nucleus `wa`, coda `ng`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicediff.errors import DataError
from voicediff.text import hangul

CONSONANTS = tuple("g kk n d tt r l m b pp s ss ng j jj ch k t p h".split())
GLIDES = ("y", "w")
VOWELS = tuple("a ae eo e o u eu ui i oe".split())
#: the 32 symbols of the corpus
PHONES = (*CONSONANTS, *GLIDES, *VOWELS)
#: possible nuclei: the vowels and every glide-vowel pair of Hangul
NUCLEI = (*VOWELS, *"ya yae yeo ye yo yu wa wae weo we wi".split())

_LEADS = dict(zip(hangul.LEADS, "g kk n d tt r m b pp s ss - j jj ch k t p h".split(), strict=True))
_VOWELS = dict(
    zip(
        hangul.VOWELS,
        "a ae ya yae eo e yeo ye o wa wae oe yo u weo we wi yu eu ui i".split(),
        strict=True,
    )
)
# the seven spoken codas of Korean, by written letter
_CODAS = {
    letter: phone
    for phone, letters in {
        "": ("",),
        "k": "ㄱㄲㄳㄺㅋ",
        "n": "ㄴㄵㄶ",
        "t": "ㄷㅅㅆㅈㅊㅌㅎ",
        "l": "ㄹㄼㄽㄾㅀ",
        "m": "ㅁㄻ",
        "p": "ㅂㅄㄿㅍ",
        "ng": "ㅇ",
    }.items()
    for letter in letters
}


@dataclass(frozen=True)
class Syllable:
    """A spoken syllable: consonants before the nucleus, the nucleus, consonants after it."""

    onset: tuple[str, ...]
    nucleus: str
    coda: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        return (*self.onset, self.nucleus, *self.coda)


def parse(phones: Sequence[str], at: str = "phones") -> Syllable:
    """(`g`, `w`, `a`, `ng`) -> Syllable((`g`,), `wa`, (`ng`,)).

    Merged nuclei are accepted. Raises DataError with the prefix `at` for an unknown phone and for a
    syllable without exactly one vowel.
    """
    for phone in phones:
        if phone not in PHONES and phone not in NUCLEI:
            raise DataError(f"{at}: unknown phone {phone!r}; known: {' '.join(PHONES)}")
    places = [index for index, phone in enumerate(phones) if phone in NUCLEI]
    if len(places) != 1:
        written = "_".join(phones)
        raise DataError(f"{at}: {written!r} has {len(places)} vowels; a syllable has one")
    onset, nucleus, coda = phones[: places[0]], phones[places[0]], phones[places[0] + 1 :]
    if onset and onset[-1] in GLIDES and onset[-1] + nucleus in NUCLEI:
        onset, nucleus = onset[:-1], onset[-1] + nucleus
    return Syllable(tuple(onset), nucleus, tuple(coda))


def split_glide(syllable: Syllable) -> tuple[str, ...]:
    """The notation of the corpus: (`g`, `w`, `a`, `ng`)."""
    nucleus = (syllable.nucleus,)
    if syllable.nucleus not in VOWELS:
        nucleus = (syllable.nucleus[0], syllable.nucleus[1:])
    return (*syllable.onset, *nucleus, *syllable.coda)


def to_hangul(syllable: Syllable) -> str:
    """A Hangul syllable with this pronunciation: (`g`, `wa`, `ng`) -> `광`.

    Raises DataError for consonant clusters, which Hangul cannot write.
    """
    leads = {phone: letter for letter, phone in _LEADS.items()} | {"l": "ㄹ", "": "ㅇ"}
    vowels = {phone: letter for letter, phone in _VOWELS.items()}
    codas = dict(
        zip(("", "k", "n", "t", "l", "m", "p", "ng", "s"), ("", *"ㄱㄴㄷㄹㅁㅂㅇㅅ"), strict=True)
    )
    onset, coda = "_".join(syllable.onset), "_".join(syllable.coda)
    if onset not in leads or coda not in codas:
        raise DataError(f"{'_'.join(syllable.tokens)!r}: Hangul has no syllable for it")
    return hangul.compose(leads[onset], vowels[syllable.nucleus], codas[coda])


def vowel(nucleus: str) -> str:
    """The sustained vowel of a nucleus: `wa` -> `a`, `ui` -> `i`."""
    held = nucleus if nucleus in VOWELS else nucleus[1:]
    return "i" if held == "ui" else held


def from_spoken(text: str) -> list[Syllable]:
    """Syllables of Hangul in phonetic spelling (the output of `pronounce`).

    ㄹ after ㄹ becomes `l` after `l`, as in the corpus.
    """
    found: list[Syllable] = []
    for character in text:
        if not hangul.is_syllable(character):
            continue
        lead, middle, tail = hangul.decompose(character)
        onset = () if lead == "ㅇ" else (_LEADS[lead],)
        if lead == "ㄹ" and found and found[-1].coda == ("l",):
            onset = ("l",)
        coda = (_CODAS[tail],) if tail else ()
        found.append(Syllable(onset, _VOWELS[middle], coda))
    return found


def read_lines(text: str, at: str = "txt") -> list[list[Syllable]]:
    """Phrases of syllables from the text of a CSD `txt` file. Raises DataError `at:line`."""
    lines = [
        [parse(word.split("_"), f"{at}:{number}") for word in line.split()]
        for number, line in enumerate(text.splitlines(), start=1)
    ]
    return [line for line in lines if line]
