"""Segmentation of songs into lines, and the split into train, dev and test."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voicediff.data.singing.kaldi import Utterance
from voicediff.data.singing.songs import Song
from voicediff.errors import DataError
from voicediff.music.score import Note, Score
from voicediff.text import hangul

LONGEST = 19.0  # seconds
SHORTEST = 3.0  # seconds; a shorter line is joined with its neighbour
PARTS = ("train", "dev", "test")
DEVELOPMENT, TEST = (46,), (47, 48, 49, 50)  # song numbers, as ESPnet and Muskits split the corpus


@dataclass(frozen=True)
class Split:
    """Development and test songs, by name or number.

    By default (both empty) the standard songs of the corpus, or its last songs if it has no such
    numbers.
    """

    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def parts(self, songs: Sequence[Song]) -> dict[str, list[Song]]:
        """Songs of train, dev and test. Raises DataError where a part would be empty."""
        dev, test = self.dev, self.test
        if not (dev or test):
            dev, test = _default(songs)
        wanted = {"dev": dev, "test": test}
        for part, names in wanted.items():
            for name in names:
                if not any(_is(song, name) for song in songs):
                    known = ", ".join(song.name for song in songs[:6])
                    raise DataError(f"--{part}: no song {name!r}; songs: {known} ...")
        found: dict[str, list[Song]] = {part: [] for part in PARTS}
        for song in songs:
            found[_part(song, wanted)].append(song)
        for part, members in found.items():
            if not members:
                raise DataError(
                    f"split: no song for {part}; name songs with --dev and --test, or split a "
                    "single recording with --test-from SECONDS"
                )
        return found


def utterances_of(song: Song, singer: str) -> list[Utterance]:
    """The lines of a song, split at rests, SHORTEST to LONGEST seconds long where possible."""
    found = []
    for number, (start, end) in enumerate(spans(song.score), start=1):
        score = song.score.cut(start, end)
        name = f"{singer}-{song.name}-{number:03d}"
        found.append(Utterance(name, song.name, start, end, line_text(score), singer, score))
    return found


def spans(score: Score) -> list[tuple[float, float]]:
    """(start, end) of each line in seconds; a short one is joined with its nearer neighbour."""
    found = score.lines(longest=LONGEST)
    bare = score.lines(longest=LONGEST, margin=0.0)
    rests = [b[0] - a[1] for a, b in itertools.pairwise(bare)]
    unjoined = 0  # lines so far that cannot be joined
    while short := [i for i, s in enumerate(found) if s[1] - s[0] < SHORTEST][unjoined:]:
        places = [j for j in (short[0] - 1, short[0]) if 0 <= j < len(rests)]
        places = [j for j in places if found[j + 1][1] - found[j][0] <= LONGEST]
        if not places:
            unjoined += 1
            continue
        j = min(places, key=lambda j: rests[j])
        found[j : j + 2] = [(found[j][0], found[j + 1][1])]
        del rests[j]
    return found


def line_text(score: Score) -> str:
    """The lyrics in Hangul, words separated by spaces; codas of slurs join their syllable."""
    words: list[str] = []
    for index, note in enumerate(score.notes):
        if note.slur:
            words[-1] = words[-1][:-1] + _with_coda_of(words[-1][-1:], note.syllable)
        elif index in score.words or not words:
            words.append(note.syllable)
        else:
            words[-1] += note.syllable
    return " ".join(words) or "-"


def reference_phones(score: Score) -> list[str]:
    """The annotated phones of a line, slurs joined to their syllable."""
    found: list[str] = []
    for note in score.notes:
        phones = list(note.phones or ())
        found += phones[1:] if note.slur else phones
    return found


def cutting_point(score: Score, time: float) -> float:
    """The start in seconds of the line at `time`, where a recording is split.

    Raises DataError where one side would have no line.
    """
    starts = [start for start, _ in spans(score)]
    earlier = [start for start in starts[1:] if start <= time + 0.5]
    if not earlier or time >= score.notes[-1].end:
        raise DataError(
            f"{score.title}: cannot be cut at {time:.2f} s; lines begin at "
            f"{', '.join(f'{start:.2f}' for start in starts)} s"
        )
    return earlier[-1]


def share_of_slurs(scores: Iterable[Score]) -> float:
    """Share of slurred notes, 0 to 1."""
    notes: list[Note] = list(itertools.chain.from_iterable(score.notes for score in scores))
    return sum(note.slur for note in notes) / max(len(notes), 1)


def _default(songs: Sequence[Song]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The standard numbers if songs have keys, else the last song and the one before it."""
    if any(song.key for song in songs):
        numbers = {song.number for song in songs}
        return tuple(
            tuple(str(number) for number in part if number in numbers)
            for part in (DEVELOPMENT, TEST)
        )
    names = [song.name for song in songs]
    return (tuple(names[-2:-1]), tuple(names[-1:])) if len(names) >= 3 else ((), ())


def _is(song: Song, name: str) -> bool:
    """`name` is the song's name, or its number (for both keys of a song)."""
    return name == song.name or (name.isdecimal() and int(name) == song.number)


def _part(song: Song, wanted: dict[str, tuple[str, ...]]) -> str:
    return next(
        (part for part in ("test", "dev") if any(_is(song, name) for name in wanted[part])), "train"
    )


def _with_coda_of(open_syllable: str, held: str) -> str:
    """`여` and `엉` -> `영`."""
    if not (hangul.is_syllable(open_syllable) and hangul.is_syllable(held)):
        return open_syllable
    lead, vowel, tail = hangul.decompose(open_syllable)
    return hangul.compose(lead, vowel, tail or hangul.decompose(held)[2])
