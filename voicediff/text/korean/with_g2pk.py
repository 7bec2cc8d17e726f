"""The pronouncer g2pk, with MeCab's morphology and corrections of known errors.

g2pk 0.9.4 imports NLTK and its CMU dictionary for English words. English never reaches it here, so
an empty dictionary replaces both, and neither the packages nor a network connection are needed. It
requires konlpy but never imports it. MeCab (python-mecab-ko) is necessary: without it g2pk
recognises neither verb stems nor modifiers, and is less accurate than `voicediff.text.korean`.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from voicediff.optional import require
from voicediff.text.korean.lexicon import MAY_FOLLOW
from voicediff.text.korean.rules import LETTER_NAMES

_ENGLISH = ("nltk", "nltk.corpus")
# damaged cells of its table: these codas before these onsets
_DAMAGED = dict(zip("ᆰᆲᆳᆵᆹᆻ", "ᆨᆯᆯᆸᆸᆮ", strict=True)), "ᄏᄐᄑ"


@lru_cache(maxsize=1)
def converter() -> Callable[[str], str]:
    """The converter of g2pk. Raises ConfigError if g2pk or MeCab cannot be loaded."""
    require("mecab", "g2pk", "pronouncer g2pk")
    with _no_english():
        module = require("g2pk.g2pk", purpose="pronouncer g2pk")
    module.jamo = _letter_names
    made = module.G2p()
    made.idioms = _Idioms(Path(made.idioms_path))
    made.table = [*_repairs(), *made.table]
    return made


@contextmanager
def _no_english() -> Iterator[None]:
    """Replace NLTK by empty modules while g2pk is imported."""
    kept = {name: sys.modules[name] for name in _ENGLISH if name in sys.modules}
    for name in _ENGLISH:
        sys.modules[name] = ModuleType(name)
    sys.modules["nltk"].data = SimpleNamespace(find=lambda place: place)
    sys.modules["nltk.corpus"].cmudict = SimpleNamespace(dict=dict)
    try:
        yield
    finally:
        for name in _ENGLISH:
            del sys.modules[name]
        sys.modules.update(kept)


def _letter_names(text: str, descriptive: bool = False, verbose: bool = False) -> str:
    """Article 16 for the names of letters only, in place of g2pk's rule, which matches any ㅡ with a coda."""
    for name in LETTER_NAMES:
        letters = unicodedata.normalize("NFD", name)
        onset = {"ᆿ": "ᄀ", "ᇁ": "ᄇ"}.get(letters[-1], "ᄉ")
        text = text.replace(letters + "ᄋ", letters[:-1] + onset)
    return text


def _repairs() -> Iterator[tuple[str, str, list[Any]]]:
    codas, onsets = _DAMAGED
    for coda, spoken in codas.items():
        for onset in onsets:
            yield rf"{coda}( ?){onset}", rf"{spoken}\1{onset}", []


class _Idioms:
    """g2pk's list of exceptions, applied to whole words only."""

    def __init__(self, path: Path):
        lines = path.read_text(encoding="utf-8").splitlines()
        pairs = [line.partition("#")[0].strip().split("===") for line in lines if "===" in line]
        self.words = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        words = "|".join(map(re.escape, sorted(self.words, key=len, reverse=True)))
        self.pattern = re.compile(rf"(?<![가-힣])(?:{words})(?=$|[^가-힣]|{'|'.join(MAY_FOLLOW)})")

    def __call__(self, text: str, descriptive: bool = False, verbose: bool = False) -> str:
        return self.pattern.sub(lambda match: self.words[match.group()], text)
