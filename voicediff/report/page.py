"""One experiment on one self-contained HTML page: sounds side by side, charts, tables of scores.

Independent of the task: the caller supplies the clips of both columns and their pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import jinja2
import numpy as np
from markupsafe import Markup

from voicediff.report import sound
from voicediff.report.chart import Chart
from voicediff.report.table import Table

LIMIT = 14_000_000  # bytes; larger pages open slowly and are too large for e-mail


@dataclass
class Clip:
    """A sound (N,) with its picture (SVG, or "" for none)."""

    title: str
    label: str
    wav: np.ndarray
    sample_rate: int
    picture: str = ""

    @property
    def seconds(self) -> float:
        return len(self.wav) / self.sample_rate

    @property
    def sound_key(self) -> int:
        return id(self)


@dataclass
class Pair:
    """One passage: the reference on the left, and one clip for each choice on the right."""

    title: str
    left: Clip
    right: Mapping[str, Clip]

    @property
    def clips(self) -> list[Clip]:
        return [self.left, *self.right.values()]

    def visible(self, chosen: str) -> str:
        """Key of the clip to show first: `chosen`, or the first one where the pair lacks it."""
        return chosen if chosen in self.right else next(iter(self.right))


@dataclass
class Example:
    """Pairs of one song or mixture, the most important first."""

    title: str
    about: str
    pairs: list[Pair]


@dataclass
class Page:
    """The content of a page.

    Attributes:
        lead: a sentence below the title; `reading`: one above the tables.
        facts, notes, environment: texts by name.
        left: what the left column of the examples holds, e.g. "the recording".
        choices: titles of the clips of the right column, by key; `chosen` is shown first.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    reading: str
    tables: Sequence[Table]
    notes: Mapping[str, str]
    charts: Sequence[Chart]
    left: str
    choices: Mapping[str, str]
    chosen: str
    examples: list[Example]
    environment: Mapping[str, str]
    shortened: int = field(default=0, init=False)  # pairs left out to keep below the limit

    def html(self, limit: int = LIMIT) -> str:
        """The page as HTML of at most about `limit` bytes.

        Sounds are lossless if they fit, else lossy; if those do not fit either, the last pairs of
        the longest examples are left out.
        """
        sounds: dict[int, str] = {}
        for codec in sound.codecs():
            sounds = self._sounds(codec)
            if self._size(sounds) <= limit:
                break
        while self._size(sounds) > limit and self._shorten():
            pass
        return self._render(sounds)

    def _clips(self) -> list[Clip]:
        return [c for example in self.examples for pair in example.pairs for c in pair.clips]

    def _sounds(self, codec: str) -> dict[int, str]:
        clips = self._clips()
        return {c.sound_key: sound.encode(c.wav, c.sample_rate, codec).uri for c in clips}

    def _size(self, sounds: Mapping[int, str]) -> int:
        clips = sum(len(sounds[c.sound_key]) + len(c.picture) for c in self._clips())
        charts = sum(4 * (len(c.light.data) + len(c.dark.data)) // 3 for c in self.charts)
        return clips + charts + 100_000

    def _shorten(self) -> bool:
        """Leave out the last pair of the longest example; False if each has only one."""
        longest = max(self.examples, key=lambda example: len(example.pairs), default=None)
        if longest is None or len(longest.pairs) < 2:
            return False
        longest.pairs.pop()
        self.shortened += 1
        return True

    def _render(self, sounds: Mapping[int, str]) -> str:
        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
        )
        environment.filters["capitalised"] = lambda text: text[:1].upper() + text[1:]
        template = environment.from_string(_text("page.html"))
        return template.render(
            page=self,
            sounds=sounds,
            style=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
        )


def _text(name: str) -> str:
    return resources.files("voicediff.report").joinpath(name).read_text(encoding="utf-8")
