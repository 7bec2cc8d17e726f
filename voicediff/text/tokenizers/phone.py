"""Tokens: phones."""

from __future__ import annotations

from voicediff.registry import register
from voicediff.text import phones
from voicediff.text.pronunciation import Pronouncer, phones_of
from voicediff.text.tokenizers.base import PAD, SILENCE, Part, Song, Tokenizer, check_syllables


@register("tokenizer", "phone")
class PhoneTokenizer(Tokenizer):
    """Phones of the Children's Song Dataset, glides merged; the default for singing.

    Pronunciations annotated in the corpus are used; other syllables are converted line by line.

    Args:
        pronouncer: `rules`, or `g2pk` (needs the package g2pk).
    """

    name = "phone"

    def __init__(self, pronouncer: Pronouncer = "rules"):
        self.pronouncer = pronouncer
        self.symbols = [PAD, SILENCE, *phones.CONSONANTS, *phones.GLIDES, *phones.NUCLEI]

    def spell(self, score: Song) -> dict[int, list[Part]]:
        spelled: dict[int, list[Part]] = {}
        for line, indices in score.lyric_lines():
            spoken = None
            for place, index in enumerate(indices):
                given = _given_phones(score, index)
                if given is None:
                    if spoken is None:
                        check_syllables(score, indices)
                        spoken = phones_of(line, self.pronouncer)
                    given = spoken[place]
                spelled[index] = _parts(given)
        return spelled

    def hold(self, symbol: str) -> str:
        return phones.vowel(symbol)


def _given_phones(score: Song, head: int) -> phones.Syllable | None:
    """The annotated phones of the syllable that begins at note `head`, slurs included."""
    note = score.notes[head]
    if note.phones is None:
        return None
    at = f"note {head + 1} at {note.start:.2f} s"
    syllable = phones.parse(note.phones, at)
    coda = list(syllable.coda)
    for slur in score.notes[head + 1 :]:
        if not slur.slur:
            break
        if slur.phones is not None:
            coda += phones.parse(slur.phones, at).coda
    return phones.Syllable(syllable.onset, syllable.nucleus, tuple(coda))


def _parts(syllable: phones.Syllable) -> list[Part]:
    return [
        *(("onset", phone) for phone in syllable.onset),
        ("nucleus", syllable.nucleus),
        *(("coda", phone) for phone in syllable.coda),
    ]
