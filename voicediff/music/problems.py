"""Problems that the linter reports, and checks of notes and tempo."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from voicediff.music.melody import LEGATO, RawNote

Kind = Literal[
    "note_without_syllable",
    "syllable_without_note",
    "swapped",
    "mismatch",
    "overlap",
    "tempo",
    "range",
    "unpronounceable",
    "missing_file",
]
TEMPO = (40.0, 240.0)  # plausible beats per minute
ONSETS = (0.1, 3.0)  # plausible median seconds between note onsets
RANGE = (41, 84)  # MIDI numbers, F2 to C6: from a low male to a high child's voice


@dataclass(frozen=True)
class Problem:
    """One problem of a song.

    Attributes:
        note, syllable: number of the note and of the syllable, from 1, or None.
        time: seconds, or None for problems without a place in the song.
        suggestion: how to repair it.
    """

    kind: Kind
    note: int | None
    syllable: int | None
    time: float | None
    message: str
    suggestion: str

    def to_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        fields["time"] = None if self.time is None else round(self.time, 3)
        return fields

    def __str__(self) -> str:
        place = [f"{self.time:.2f} s"] if self.time is not None else []
        place += [f"note {self.note}"] if self.note is not None else []
        place += [f"syllable {self.syllable}"] if self.syllable is not None else []
        where = ", ".join(place)
        return f"{where}{': ' if where else ''}{self.message}; {self.suggestion} [{self.kind}]"


def check_notes(
    notes: Sequence[RawNote],
    tempo: Sequence[tuple[float, float]],
    source: str,
    pitch_range: tuple[int, int] = RANGE,
) -> list[Problem]:
    """Overlaps, implausible tempo, and pitches outside `pitch_range`."""
    return [
        *_overlaps(notes, source),
        *_tempo(notes, tempo, source),
        *_range(notes, source, pitch_range),
    ]


def _overlaps(notes: Sequence[RawNote], source: str) -> list[Problem]:
    found = []
    for i in range(1, len(notes)):
        before, note = notes[i - 1], notes[i]
        over = before.end - note.start
        if over > LEGATO or over > max((before.end - before.start) / 2, 1e-6):
            message = f"{source}: begins {over:.2f} s before note {i} ends"
            found.append(
                Problem(
                    "overlap", i + 1, None, note.start, message, f"end note {i} where it begins"
                )
            )
    return found


def _tempo(
    notes: Sequence[RawNote], tempo: Sequence[tuple[float, float]], source: str
) -> list[Problem]:
    found = []
    for time, bpm in tempo:
        if not TEMPO[0] <= bpm <= TEMPO[1]:
            message = f"{source}: a tempo of {bpm:.0f} beats per minute is implausible"
            better = bpm * 2 if bpm < TEMPO[0] else bpm / 2
            found.append(
                Problem("tempo", None, None, time, message, f"check whether {better:.0f} is meant")
            )
    steps = sorted(b.start - a.start for a, b in itertools.pairwise(notes))
    typical = steps[len(steps) // 2] if len(steps) >= 4 else 0.5
    if not ONSETS[0] <= typical <= ONSETS[1]:
        message = f"{source}: a typical note lasts {typical:.2f} s"
        suggestion = "check the tempo"
        found.append(Problem("tempo", None, None, notes[0].start, message, suggestion))
    return found


def _range(notes: Sequence[RawNote], source: str, pitch_range: tuple[int, int]) -> list[Problem]:
    low, high = pitch_range
    pitches = [note.pitch for note in notes]
    octave = _transposition(min(pitches), max(pitches), low, high)
    advice = f"transpose by {octave:+d}" if octave else "check the pitch"
    return [
        Problem(
            "range",
            i + 1,
            None,
            note.start,
            f"{source}: pitch {note.pitch} is outside {low} to {high}",
            advice,
        )
        for i, note in enumerate(notes)
        if not low <= note.pitch <= high
    ]


def _transposition(lowest: int, highest: int, low: int, high: int) -> int:
    """Transposition by octaves, in semitones, that brings all notes into the range; 0 if none does."""
    for octaves in (1, -1, 2, -2, 3, -3):
        if low <= lowest + 12 * octaves and highest + 12 * octaves <= high:
            return 12 * octaves
    return 0
