"""Public-domain tunes in a numeric notation.

Notes are scale degrees: `5` is the dominant, `5,` an octave below, `1'` an octave above, `4#` raised,
`7b` lowered. `:2` after a note gives its beats (default 1). A `/` ends a phrase and is followed by a
rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicediff.errors import DataError

_DEGREES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11}


@dataclass(frozen=True)
class Tune:
    """A melody: phrases of (semitones above the tonic, beats), with its usual tempo and metre."""

    name: str
    tempo: float
    metre: str
    phrases: tuple[tuple[tuple[int, float], ...], ...]

    @property
    def pitches(self) -> list[int]:
        return [pitch for phrase in self.phrases for pitch, _ in phrase]


def parse_tune(name: str, tempo: float, metre: str, text: str) -> Tune:
    """Parse the notation above. Raises DataError for an invalid note."""
    phrases = tuple(
        tuple(_note(word, name) for word in phrase.split()) for phrase in text.split("/")
    )
    return Tune(name, tempo, metre, phrases)


def _note(word: str, name: str) -> tuple[int, float]:
    degree, _, beats = word.partition(":")
    try:
        pitch = _DEGREES[degree[0]]
        for mark in degree[1:]:
            pitch += {"'": 12, ",": -12, "#": 1, "b": -1}[mark]
        return pitch, float(beats or 1)
    except (KeyError, ValueError) as error:
        raise DataError(f"tune {name}: {word!r} is not a note; write e.g. 5,:1.5") from error


def training_tunes() -> list[Tune]:
    """Tunes of the training songs."""
    return [parse_tune(*row) for row in _TRAINING]


def held_out_tunes() -> list[Tune]:
    """Tunes of the development song (the first) and test songs; disjoint from training tunes."""
    return [parse_tune(*row) for row in _HELD_OUT]


_TRAINING = (
    (
        "Twinkle, twinkle, little star",
        104,
        "4/4",
        "1 1 5 5 6 6 5:2 / 4 4 3 3 2 2 1:2 / 5 5 4 4 3 3 2:2 / 5 5 4 4 3 3 2:2",
    ),
    (
        "Mary had a little lamb",
        112,
        "4/4",
        "3 2 1 2 3 3 3:2 / 2 2 2:2 3 5 5:2 / 3 2 1 2 3 3 3 1 / 2 2 3 2 1:3",
    ),
    (
        "Frere Jacques",
        116,
        "4/4",
        "1 2 3 1 1 2 3 1 / 3 4 5:2 3 4 5:2 / 5:.5 6:.5 5:.5 4:.5 3 1 5:.5 6:.5 5:.5 4:.5 3 1 /"
        " 1 5, 1:2 1 5, 1:2",
    ),
    (
        "London Bridge",
        108,
        "4/4",
        "5:1.5 6:.5 5 4 3 4 5:2 / 2 3 4:2 3 4 5:2 / 5:1.5 6:.5 5 4 3 4 5:2 / 2:2 5:2 3 1:3",
    ),
    (
        "Old MacDonald",
        120,
        "4/4",
        "1' 1' 1' 5 6 6 5:2 / 3' 3' 2' 2' 1':3 / 5 1' 1' 1' 5 6 6 5:2 / 3' 3' 2' 2' 1':3",
    ),
    (
        "Row, row, row your boat",
        100,
        "6/8",
        "1:1.5 1:1.5 1 2:.5 3:1.5 / 3 2:.5 3 4:.5 5:3 /"
        " 1':.5 1':.5 1':.5 5:.5 5:.5 5:.5 3:.5 3:.5 3:.5 1:.5 1:.5 1:.5 / 5 4:.5 3 2:.5 1:3",
    ),
    (
        "Go tell Aunt Rhody",
        96,
        "4/4",
        "3:2 3 2 1:2 1:2 / 2:2 2 4 3 2 1:2 / 5:2 5 4 3:2 3:2 / 2 1 2 3 1:4",
    ),
    (
        "Yankee Doodle",
        124,
        "4/4",
        "1 1 2 3 1 3 2 5, / 1 1 2 3 1:2 7,:2 / 1 1 2 3 4 3 2 1 / 7, 5, 6, 7, 1:2 1:2",
    ),
    (
        "Oh! Susanna",
        120,
        "4/4",
        "1:.5 2:.5 3 5 5:1.5 6:.5 5 3 1:1.5 2:.5 3 3 2 1 2:3 /"
        " 1:.5 2:.5 3 5 5:1.5 6:.5 5 3 1:1.5 2:.5 3 3 2 2 1:3 / 4:2 4:2 6 6:2 6 5 5 3 1 2:3",
    ),
    (
        "Skip to my Lou",
        120,
        "4/4",
        "3 1 3:.5 3:.5 5 2 7, 2:.5 2:.5 4 / 3 1 3:.5 3:.5 5 2:.5 3:.5 4:.5 3:.5 2 1",
    ),
    (
        "Hot cross buns",
        100,
        "4/4",
        "3 2 1:2 3 2 1:2 / 1:.5 1:.5 1:.5 1:.5 2:.5 2:.5 2:.5 2:.5 3 2 1:2",
    ),
    (
        "Au clair de la lune",
        100,
        "4/4",
        "1 1 1 2 3:2 2:2 / 1 3 2 2 1:3 / 2 2 2 2 6,:2 6,:2 / 2 1 7, 6, 5,:3",
    ),
    (
        "Sur le pont d'Avignon",
        112,
        "2/4",
        "1 1 1:2 2 2 2:2 / 3 4 5 1 7, 1 2 5, / 1 1 1:2 2 2 2:2 / 3 4 5 1 2 7, 1:2",
    ),
    (
        "Fuchs, du hast die Gans gestohlen",
        112,
        "2/4",
        "1 2 3 4 5 5 5 5 / 6 4 1' 6 5:3 / 6 4 1' 6 5:3 / 5 4 4 4 4 3 3 3 3 2 3 2 1 3 5:2",
    ),
    (
        "Alle meine Entchen",
        108,
        "2/4",
        "1 2 3 4 5:2 5:2 / 6 6 6 6 5:3 / 4 4 4 4 3:2 3:2 / 2 2 2 2 1:3",
    ),
    (
        "Kuckuck, Kuckuck",
        108,
        "3/4",
        "5 3:2 5 3:2 2 1 2 1:3 / 2 2 3 4:2 2 3 3 4 5:3 / 5 3:2 5 3:2 4 3 2 1:3",
    ),
    (
        "Summ, summ, summ",
        112,
        "2/4",
        "5 4 3:2 2:.5 3:.5 4:.5 2:.5 1:2 / 3:.5 4:.5 5 4:.5 3:.5 2 3:.5 4:.5 5 4:.5 3:.5 2",
    ),
    (
        "Ode to Joy",
        116,
        "4/4",
        "3 3 4 5 5 4 3 2 / 1 1 2 3 3:1.5 2:.5 2:2 / 3 3 4 5 5 4 3 2 / 1 1 2 3 2:1.5 1:.5 1:2 /"
        " 2 2 3 1 2 3:.5 4:.5 3 1 / 2 3:.5 4:.5 3 2 1 2 5,:2",
    ),
    (
        "Good King Wenceslas",
        116,
        "4/4",
        "1 1 1 2 1 1 5,:2 / 6, 5, 6, 7, 1:2 1:2 / 5 4 3 2 3 2 1:2 / 6, 5, 6, 7, 1:2 1:2",
    ),
    (
        "Deck the halls",
        120,
        "4/4",
        "5:1.5 4:.5 3 2 1 2 3 1 / 2:.5 3:.5 4:.5 2:.5 3:1.5 2:.5 1 7, 1:2 /"
        " 2:1.5 3:.5 4 2 3:1.5 4:.5 5 2 / 3:.5 4#:.5 5 6:.5 7:.5 1' 7 6 5:2",
    ),
    (
        "Brahms' lullaby",
        88,
        "3/4",
        "3:.5 3:.5 5:2 3:.5 3:.5 5:2 / 3:.5 5:.5 1' 7:1.5 6:.5 6 5 / 2:.5 3:.5 4 2 2:.5 3:.5 4:2 /"
        " 2:.5 4:.5 7:.5 6:.5 5 7 1':3",
    ),
    (
        "The farmer in the dell",
        112,
        "6/8",
        "5,:.5 1 1:.5 1 1:.5 1:2.5 / 2:.5 3 3:.5 3 3:.5 3:2.5 / 3:.5 5:1.5 5 6:.5 5 3:.5 1 2:.5 /"
        " 3 3:.5 2 2:.5 1:3",
    ),
    (
        "Ring a ring o' roses",
        108,
        "6/8",
        "5 5:.5 3 6:.5 5:1.5 3 4:.5 / 5 5:.5 3 6:.5 5:1.5 3:1.5 / 4 2:.5 4 2:.5 4 5:.5 2:1.5 /"
        " 3 1:.5 3 1:.5 5:1.5 1:1.5",
    ),
    (
        "This old man",
        116,
        "4/4",
        "5 3 5:2 5 3 5:2 / 6 5 4 3 2 3 4:2 / 3:.5 4:.5 5 1:.5 1:.5 1:.5 1:.5 1:.5 2:.5 3:.5 4:.5 5 /"
        " 5 2 2 4 3 2 1:2",
    ),
    (
        "Three blind mice",
        100,
        "6/8",
        "3:1.5 2:1.5 1:3 3:1.5 2:1.5 1:3 / 5:1.5 4 4:.5 3:3 5:1.5 4 4:.5 3:2.5 /"
        " 5:.5 1' 1':.5 7 6:.5 7 1':.5 5 5:.5",
    ),
    (
        "Pop goes the weasel",
        104,
        "6/8",
        "1 1:.5 2 2:.5 3:.5 5:.5 3:.5 1:1.5 / 1 1:.5 2 2:.5 3:1.5 1:1.5 /"
        " 1 1:.5 2 2:.5 3:.5 5:.5 3:.5 1:1.5 / 6:1.5 2 4:.5 3:1.5 1:1.5",
    ),
    (
        "The itsy bitsy spider",
        108,
        "6/8",
        "5,:.5 1 1:.5 1 2:.5 3:1.5 3 3:.5 / 2 1:.5 2 3:.5 1:3 / 3:1.5 3 4:.5 5:2.5 /"
        " 5:.5 4 3:.5 4 5:.5 3:3",
    ),
    (
        "Ach, du lieber Augustin",
        120,
        "3/4",
        "5:1.5 6:.5 5:.5 4:.5 3 1 1 / 2 5, 5, 3 1 1 / 5:1.5 6:.5 5:.5 4:.5 3 1 1 / 2 5, 5, 1:3",
    ),
    (
        "Auld lang syne",
        92,
        "4/4",
        "5, 1:1.5 1:.5 1 3 2:1.5 1:.5 2 3 / 1:1.5 1:.5 3 5 6:3 / 6 5:1.5 3:.5 3 1 2:1.5 1:.5 2 3 /"
        " 1:1.5 6,:.5 6, 5, 1:3",
    ),
)

_HELD_OUT = (
    (
        "Haenschen klein",
        108,
        "4/4",
        "5 3 3:2 4 2 2:2 / 1 2 3 4 5 5 5:2 / 2 2 2 2 2 3 4:2 / 3 3 3 3 3 4 5:2 / 1 3 5 5 1:4",
    ),
    (
        "Jingle bells",
        120,
        "4/4",
        "3 3 3:2 3 3 3:2 / 3 5 1:1.5 2:.5 3:3 / 4 4 4:1.5 4:.5 4 3 3 3:.5 3:.5 / 3 2 2 3 2:2 5:2",
    ),
    (
        "Hush, little baby",
        96,
        "4/4",
        "5, 3 3 3 4 3 2:2 / 5, 2 2 2 2:.5 3:.5 2 1:2 / 1 3 3 3 4 3 2:2 / 2 2 2 2 3 2 1:2",
    ),
    (
        "Mulberry bush",
        112,
        "6/8",
        "1 1:.5 1 1:.5 3 5:.5 5 3:.5 / 1 1:.5 1 1:.5 2 7,:.5 5,:1.5 / 1 1:.5 1 1:.5 3 5:.5 5 3:.5 /"
        " 4 2:.5 7, 2:.5 1:1.5 1:1.5",
    ),
    (
        "O Tannenbaum",
        100,
        "3/4",
        "5, 1:.75 1:.25 1:1.5 2:.5 3:.75 3:.25 3:1.5 / 3:.5 2:.5 3:.5 4 7, 2 1:1 /"
        " 5:.5 5:.5 3:.5 6:1.5 5:.5 5:.5 4:.5 4:1.5 / 4:.5 4:.5 2:.5 5:1.5 4:.5 4:.5 3:.5 3:1.5",
    ),
)
