"""A song as notes with syllables: the result of every reader and the input of synthesis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from voicediff.errors import DataError

_TOUCH = 1e-6  # seconds of overlap that rounding may cause


@dataclass(frozen=True)
class Note:
    """One pitch held from `start` to `end`.

    Attributes:
        start, end: seconds from the beginning of the song.
        pitch: MIDI number (60 is C4).
        syllable: one Hangul syllable, or "" if unknown.
        slur: the note continues the previous vowel without a new onset; `syllable` may be "".
        phones: the pronunciation annotated in the corpus, if any.
    """

    start: float
    end: float
    pitch: int
    syllable: str = ""
    slur: bool = False
    phones: tuple[str, ...] | None = None

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Score:
    """Notes in time order without overlaps, with tempo, phrases and words.

    Attributes:
        notes: at least one note.
        duration: seconds; not before the end of the last note.
        title: displayed name.
        tempo: (seconds, beats per minute) pairs, the first at 0.
        phrases: indices of the notes that begin a lyric line; empty if unknown.
        words: indices of the notes that begin a word; empty if unknown.

    Raises DataError with the first invalid note.
    """

    notes: tuple[Note, ...]
    duration: float
    title: str = ""
    tempo: tuple[tuple[float, float], ...] = ((0.0, 120.0),)
    phrases: tuple[int, ...] = ()
    words: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.notes:
            raise DataError(f"{self._where()}: no notes in the score; add at least one")
        for index, note in enumerate(self.notes):
            self._check(index, note)
        end = self.notes[-1].end
        if not (math.isfinite(self.duration) and self.duration >= end - _TOUCH):
            raise DataError(
                f"{self._where()}: lasts {self.duration:.3f} s but its last note ends at {end:.3f} s"
            )
        self._check_tempo()
        self._check_phrases()

    def to_dict(self) -> dict[str, Any]:
        """The score as a JSON-compatible dict; `from_dict` restores it exactly."""
        blank = asdict(Note(0.0, 1.0, 0))
        notes = []
        for note in self.notes:
            fields = asdict(note)
            fields["phones"] = list(note.phones) if note.phones is not None else None
            always = ("start", "end", "pitch")
            notes.append({k: v for k, v in fields.items() if k in always or v != blank[k]})
        return {
            "title": self.title,
            "duration": self.duration,
            "tempo": [list(point) for point in self.tempo],
            "phrases": list(self.phrases),
            "words": list(self.words),
            "notes": notes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], at: str = "score") -> Score:
        """Inverse of `to_dict`. Raises DataError with the prefix `at`."""
        try:
            notes = tuple(_note(item) for item in data["notes"])
            tempo = tuple((float(time), float(bpm)) for time, bpm in data["tempo"])
            phrases, words = (tuple(map(int, data.get(key, ()))) for key in ("phrases", "words"))
            return cls(notes, float(data["duration"]), str(data["title"]), tempo, phrases, words)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise DataError(
                f"{at}: not a score: {type(error).__name__} {error}; write it again"
            ) from error

    def cut(self, start: float, end: float) -> Score:
        """The notes whose middle lies in [start, end), clipped to it; time begins at `start`.

        A slur whose first note is outside becomes a new syllable.
        """
        inside = [i for i, note in enumerate(self.notes) if start <= note.middle < end]
        notes = []
        for index in inside:
            note = self.notes[index]
            if note.slur and not notes:
                note = self._new_syllable(index)
            notes.append(
                replace(note, start=max(note.start, start) - start, end=min(note.end, end) - start)
            )
        place = {index: i for i, index in enumerate(inside)}
        phrases = tuple(place[i] for i in self.phrases if i in place)
        words = tuple(place[i] for i in self.words if i in place)
        later = tuple((time - start, bpm) for time, bpm in self.tempo if start < time < end)
        tempo = ((0.0, self.tempo_at(start)), *later)
        return Score(tuple(notes), end - start, self.title, tempo, phrases, words)

    def lines(
        self, min_rest: float = 0.25, longest: float = 19.0, margin: float = 0.3
    ) -> list[tuple[float, float]]:
        """(start, end) in seconds of the parts between rests of at least `min_rest` seconds.

        A part over `longest` seconds is split at its longest gap, or without gaps at the note
        nearest to its middle, never before a slur. Up to `margin` seconds of rest are included on
        each side, for consonants that are sung before their note.
        """
        gaps = [b.start - a.end for a, b in itertools.pairwise(self.notes)]
        groups = _ranges(self._after_rests(min_rest), len(self.notes))
        parts = [part for group in groups for part in self._split(*group, longest, gaps)]
        return [self._span(first, last, margin) for first, last in parts]

    def transpose(self, semitones: int) -> Score:
        """Shift all pitches. Raises DataError where one leaves the MIDI range 0 to 127."""
        notes = tuple(replace(note, pitch=note.pitch + semitones) for note in self.notes)
        return replace(self, notes=notes)

    def stretch(self, factor: float) -> Score:
        """The song at `factor` times its tempo: 2.0 is twice as fast."""
        if not (math.isfinite(factor) and factor > 0):
            raise DataError(f"{self._where()}: tempo factor {factor}; give a number above 0")
        notes = tuple(
            replace(note, start=note.start / factor, end=note.end / factor) for note in self.notes
        )
        tempo = tuple((time / factor, bpm * factor) for time, bpm in self.tempo)
        return replace(self, notes=notes, duration=self.duration / factor, tempo=tempo)

    def tempo_at(self, time: float) -> float:
        """Beats per minute at `time` seconds."""
        return [bpm for start, bpm in self.tempo if start <= max(time, 0.0)][-1]

    def syllable_starts(self) -> list[int]:
        """Indices of the notes that begin a syllable (all but slurs)."""
        return [index for index, note in enumerate(self.notes) if not note.slur]

    def lyric_lines(self) -> list[tuple[str, tuple[int, ...]]]:
        """Each lyric line as text and the indices of the notes that begin its syllables.

        Without phrases, lines end at rests. Notes without a syllable add no text.
        """
        begins = sorted({0, *(self.phrases or self._after_rests(0.25))})
        words = set(self.words)
        lines = []
        for first, last in _ranges(begins, len(self.notes)):
            heads = [i for i in range(first, last) if not self.notes[i].slur]
            spaced = (" " * (i in words) + self.notes[i].syllable for i in heads)
            lines.append(("".join(spaced).strip(), tuple(heads)))
        return lines

    def _after_rests(self, min_rest: float) -> list[int]:
        """0 and the notes (except slurs) after at least `min_rest` seconds of rest."""
        pairs = enumerate(itertools.pairwise(self.notes), start=1)
        return [0, *(i for i, (a, b) in pairs if b.start - a.end >= min_rest and not b.slur)]

    def _where(self) -> str:
        return self.title or "score"

    def _check(self, index: int, note: Note) -> None:
        at = f"{self._where()}: note {index + 1}"
        if not (math.isfinite(note.start) and math.isfinite(note.end)) or note.start < -_TOUCH:
            raise DataError(f"{at}: is at {note.start} to {note.end} s; times start at 0")
        at += f" at {note.start:.3f} s"
        if note.end <= note.start:
            raise DataError(f"{at}: ends at {note.end:.3f} s; give it a length")
        if isinstance(note.pitch, bool) or note.pitch != int(note.pitch):
            raise DataError(f"{at}: pitch {note.pitch!r} is not a MIDI number")
        if not 0 <= note.pitch <= 127:
            raise DataError(f"{at}: pitch {note.pitch} is outside MIDI's 0 to 127")
        if note.syllable and not (len(note.syllable) == 1 and "가" <= note.syllable <= "힣"):
            raise DataError(f"{at}: {note.syllable!r} is not one Hangul syllable")
        if index == 0 and note.slur:
            raise DataError(
                f"{at}: the first note has no previous syllable to continue; give it a syllable"
            )
        if index and note.start < self.notes[index - 1].end - _TOUCH:
            before = self.notes[index - 1]
            raise DataError(
                f"{at}: begins before note {index} ends at {before.end:.3f} s; "
                "only one note can be sung at a time, shorten the previous note"
            )

    def _check_tempo(self) -> None:
        times = [time for time, _ in self.tempo]
        if not times or times[0] != 0 or times != sorted(times):
            raise DataError(
                f"{self._where()}: tempo changes at {times}; the first must be at 0, the others in time order"
            )
        for time, bpm in self.tempo:
            if not (math.isfinite(time) and math.isfinite(bpm) and bpm > 0):
                raise DataError(f"{self._where()}: tempo {bpm} at {time} s; give beats per minute")

    def _check_phrases(self) -> None:
        if list(self.phrases) != sorted(set(self.phrases)):
            raise DataError(f"{self._where()}: phrases {self.phrases} are not in order")
        for index in (*self.phrases, *self.words):
            if not 0 <= index < len(self.notes) or self.notes[index].slur:
                raise DataError(
                    f"{self._where()}: no syllable at note {index + 1} to begin a phrase or word"
                )

    def _new_syllable(self, index: int) -> Note:
        """The slurred note `index` as a new syllable with the text that it continues."""
        head = index
        while self.notes[head].slur:
            head -= 1
        first = self.notes[head]
        return replace(self.notes[index], slur=False, syllable=first.syllable, phones=first.phones)

    def _split(
        self, first: int, last: int, longest: float, gaps: list[float]
    ) -> list[tuple[int, int]]:
        """Split notes first..last-1 into parts of at most `longest` seconds, where possible."""
        length = self.notes[last - 1].end - self.notes[first].start
        places = [i for i in range(first + 1, last) if not self.notes[i].slur]
        if length <= longest or not places:
            return [(first, last)]
        middle = (self.notes[first].start + self.notes[last - 1].end) / 2

        def quality(i: int) -> tuple[float, float]:
            return max(round(gaps[i - 1], 3), 0.0), -abs(self.notes[i].start - middle)

        place = max(places, key=quality)
        return self._split(first, place, longest, gaps) + self._split(place, last, longest, gaps)

    def _span(self, first: int, last: int, margin: float) -> tuple[float, float]:
        start, end = self.notes[first].start, self.notes[last - 1].end
        before = self.notes[first - 1].end if first else -start
        after = self.notes[last].start if last < len(self.notes) else 2 * self.duration - end
        return (
            max(0.0, start - margin, (before + start) / 2),
            min(self.duration, end + margin, (end + after) / 2),
        )


def _ranges(begins: list[int], end: int) -> list[tuple[int, int]]:
    return list(itertools.pairwise([*begins, end]))


def _note(item: Mapping[str, Any]) -> Note:
    phones = item.get("phones")
    return Note(
        start=float(item["start"]),
        end=float(item["end"]),
        pitch=int(item["pitch"]),
        syllable=str(item.get("syllable", "")),
        slur=bool(item.get("slur", False)),
        phones=None if phones is None else tuple(str(phone) for phone in phones),
    )
