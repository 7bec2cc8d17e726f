"""Alignment of a score to frames: durations of consonants and vowels by rule.

The score gives the time of each syllable, so no durations are predicted: an onset consonant has 3
frames, a coda consonant 3, and the nucleus the rest of the note. Frames come from rounded
boundaries, because rounded durations would accumulate drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from voicediff.errors import ConfigError, DataError
from voicediff.music.score import Score
from voicediff.text.tokenizers import SILENCE, Part, Tokenizer

ROLES = ("rest", "onset", "nucleus", "coda")


@dataclass(frozen=True)
class Timing:
    """Options of `align`, in frames.

    Attributes:
        onset, coda: frames of each consonant before and after the nucleus, in sufficiently long
            notes.
        placement: `inside`: the onset begins with the note; `before`: the nucleus begins with
            the note, as in real singing (onsets begin about 66 ms earlier), and the onset takes
            its time from the preceding rest or nucleus.
        lead: maximum number of onset frames before the note, with `before`.
    """

    onset: int = 3
    coda: int = 3
    placement: Literal["inside", "before"] = "inside"
    lead: int | None = None

    def __post_init__(self) -> None:
        for name in ("onset", "coda", "lead"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise ConfigError(f"timing.{name}: {value!r}; give frames, 0 or more")
        if self.placement not in ("inside", "before"):
            raise ConfigError(f"timing.placement: {self.placement!r}; choices: inside, before")


@dataclass(frozen=True)
class Alignment:
    """A score as L tokens over T frames; all arrays (L,).

    Attributes:
        tokens: indices into the tokenizer's symbols.
        pitches: MIDI numbers, 0 in rests.
        durations: frames, sum T; 0 where a note is too short for its consonants.
        slurs: bool, True where a note continues the previous syllable.
        notes: index of the note in the score, -1 in rests.
        roles: index into ROLES.
    """

    tokens: np.ndarray
    pitches: np.ndarray
    durations: np.ndarray
    slurs: np.ndarray
    notes: np.ndarray
    roles: np.ndarray

    @property
    def frames(self) -> int:
        return int(self.durations.sum())

    def frame_tokens(self) -> np.ndarray:
        """The token index of each frame (T,)."""
        return np.repeat(self.tokens, self.durations)

    def frame_pitch(self) -> np.ndarray:
        """The MIDI number of each frame (T,), 0 in rests."""
        return np.repeat(self.pitches, self.durations)

    def frame_notes(self) -> np.ndarray:
        """The index of the note of each frame (T,), -1 in rests."""
        return np.repeat(self.notes, self.durations)

    def frame_roles(self) -> np.ndarray:
        """The index into ROLES of each frame (T,)."""
        return np.repeat(self.roles, self.durations)


def align(
    score: Score, tokenizer: Tokenizer, frames: int, frame_rate: float, timing: Timing
) -> Alignment:
    """Place the phones of a score on `frames` frames of 1 / `frame_rate` seconds.

    Notes are cut at the last frame. Raises DataError where a note has no syllable.
    """
    if frames < 1:
        raise DataError(f"{score.title or 'score'}: {frames} frames to fill; give at least one")
    syllables = tokenizer.syllables(score)
    counts = [(_count(parts, "onset"), _count(parts, "coda")) for parts in syllables]
    bounds = _bounds(score, frames, frame_rate)
    leads = _leads(bounds, [onsets for onsets, _ in counts], timing)
    rows: list[_Row] = []
    at = 0
    for index, (note, parts) in enumerate(zip(score.notes, syllables, strict=True)):
        start, end = bounds[index]
        if start - leads[index] > at:
            rows.append((SILENCE, 0, start - leads[index] - at, False, -1, 0))
        if index + 1 < len(bounds):  # frames that the next onset takes from this note
            end = max(min(end, bounds[index + 1][0] - leads[index + 1]), start)
        lengths = _lengths(*counts[index], end - start, leads[index], timing)
        for (role, symbol), length in zip(parts, lengths, strict=True):
            rows.append((symbol, note.pitch, length, note.slur, index, ROLES.index(role)))
        at = end
    if at < frames:
        rows.append((SILENCE, 0, frames - at, False, -1, 0))
    return _alignment(rows, tokenizer)


_Row = tuple[str, int, int, bool, int, int]


def _alignment(rows: list[_Row], tokenizer: Tokenizer) -> Alignment:
    symbols, *columns = zip(*rows, strict=True)
    pitches, durations, slurs, notes, roles = columns
    return Alignment(
        tokens=np.array(tokenizer.encode(symbols), dtype=np.int64),
        pitches=np.array(pitches, dtype=np.int64),
        durations=np.array(durations, dtype=np.int64),
        slurs=np.array(slurs, dtype=bool),
        notes=np.array(notes, dtype=np.int64),
        roles=np.array(roles, dtype=np.int64),
    )


def _count(parts: list[Part], role: str) -> int:
    return sum(found == role for found, _ in parts)


def _bounds(score: Score, frames: int, frame_rate: float) -> list[tuple[int, int]]:
    """First frame and frame after the last of each note."""
    times = np.array([(note.start, note.end) for note in score.notes])
    rounded = np.clip(np.rint(times * frame_rate), 0, frames).astype(int)
    return [(int(start), int(end)) for start, end in rounded]


def _wanted(onsets: int, timing: Timing) -> int:
    """Frames that the onset should have before its note."""
    if timing.placement == "inside":
        return 0
    full = onsets * timing.onset
    return full if timing.lead is None else min(full, timing.lead)


def _leads(bounds: list[tuple[int, int]], onsets: list[int], timing: Timing) -> list[int]:
    """Frames of each onset before its note, from the rest and at most half of the previous note."""
    leads = []
    before = (0, 0)
    for (start, end), count in zip(bounds, onsets, strict=True):
        available = start - before[1] + (before[1] - before[0]) // 2
        leads.append(min(_wanted(count, timing), available))
        before = (start, end)
    return leads


def _lengths(onsets: int, codas: int, frames: int, lead: int, timing: Timing) -> list[int]:
    """Frames of each onset consonant, the nucleus, and each coda consonant.

    `frames` of the note are divided among them; the onset also has the `lead` frames before it.
    """
    wanted = _wanted(onsets, timing)
    outside = wanted if lead >= min(onsets, wanted) else lead
    inner = onsets * timing.onset - outside  # onset frames within the note
    coda = timing.coda
    if frames < inner + codas * coda + 1:
        phones = (onsets if inner else 0) + 1 + codas
        each = max(frames // phones - 1, 1) if frames >= phones else 0
        inner, coda = min(inner, each * onsets), min(coda, each)
    share, longer = divmod(lead + inner, onsets) if onsets else (0, 0)
    nucleus = frames - inner - codas * coda
    return [*(share + (i < longer) for i in range(onsets)), nucleus, *[coda] * codas]
