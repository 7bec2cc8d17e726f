"""Tokens: letters of Hangul."""

from __future__ import annotations

from voicediff.registry import register
from voicediff.text import hangul
from voicediff.text.pronunciation import Pronouncer, pronounce
from voicediff.text.tokenizers.base import PAD, SILENCE, Part, Song, Tokenizer, check_syllables


@register("tokenizer", "jamo")
class JamoTokenizer(Tokenizer):
    """Letters of Hangul, with different symbols for leads and tails; works without g2p.

    Args:
        pronounced: convert lines to phonetic spelling first.
        pronouncer: `rules`, or `g2pk` (needs the package g2pk).
    """

    name = "jamo"

    def __init__(self, pronounced: bool = True, pronouncer: Pronouncer = "rules"):
        self.pronounced, self.pronouncer = pronounced, pronouncer
        leads, vowels, tails = hangul.conjoining_letters()
        self.symbols = [PAD, SILENCE, *leads, *vowels, *tails]

    def spell(self, score: Song) -> dict[int, list[Part]]:
        letters = letters_of(score, self)
        return {index: roles_of(parts) for index, parts in letters.items()}

    def hold(self, symbol: str) -> str:
        return held_letter(symbol)


def letters_of(score: Song, tokenizer: Tokenizer) -> dict[int, tuple[str, str, str]]:
    """Conjoining lead, vowel and tail of each note that begins a syllable."""
    letters = {}
    for line, indices in score.lyric_lines():
        check_syllables(score, indices)
        text = pronounce(line, tokenizer.pronouncer) if tokenizer.pronounced else line
        text = text.replace(" ", "")
        letters.update(zip(indices, map(hangul.conjoining, text), strict=True))
    return letters


def roles_of(letters: tuple[str, str, str]) -> list[Part]:
    """Lead, vowel and tail with their roles, without empty ones."""
    pairs = zip(("onset", "nucleus", "coda"), letters, strict=True)
    return [(role, letter) for role, letter in pairs if letter]


def held_letter(vowel: str) -> str:
    """The sustained part of a conjoining vowel: ㅘ -> ㅏ."""
    vowels = hangul.conjoining_letters()[1]
    held = dict(zip("ㅑㅒㅕㅖㅘㅙㅛㅝㅞㅟㅠㅢ", "ㅏㅐㅓㅔㅏㅐㅗㅓㅔㅣㅜㅣ", strict=True))
    letter = hangul.VOWELS[vowels.index(vowel)]
    return vowels[hangul.VOWELS.index(held.get(letter, letter))]
