import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicediff.errors import ConfigError, DataError
from voicediff.music.score import Note, Score
from voicediff.music.timing import ROLES, Timing, align
from voicediff.text.tokenizers import PhoneTokenizer

RATE = 22050 / 256
GANG, GA, A = ("g", "a", "ng"), ("g", "w", "a"), ("a",)


def song(*notes: tuple, duration: float | None = None) -> Score:
    """Notes as (start, end, phones or None for a slur) in frames of 10 ms."""
    made = tuple(Note(a / 100, b / 100, 60, "가", p is None, p) for a, b, p in notes)
    return Score(made, made[-1].end if duration is None else duration)


def rows(score: Score, timing: Timing, frames: int | None = None) -> list[tuple[str, int]]:
    tokenizer = PhoneTokenizer()
    frames = frames or round(score.duration * 100)
    found = align(score, tokenizer, frames, 100.0, timing)
    assert found.frames == frames
    return list(zip(tokenizer.decode(found.tokens), found.durations.tolist(), strict=True))


@st.composite
def scores(draw):
    time, notes = 0.0, []
    for index in range(draw(st.integers(1, 25))):
        time += draw(st.sampled_from([0.0, 0.0, 0.011, 0.02, 0.4]))
        length = draw(st.floats(0.03, 1.5))
        slur = bool(index) and draw(st.booleans())
        phones = None if slur else draw(st.sampled_from([GANG, GA, A, ("k", "r", "i", "m")]))
        notes.append(Note(time, time + length, draw(st.integers(50, 70)), "", slur, phones))
        time += length
    return Score(tuple(notes), time + draw(st.floats(0, 1)))


timings = st.builds(
    Timing,
    onset=st.integers(0, 6),
    coda=st.integers(0, 6),
    placement=st.sampled_from(["inside", "before"]),
    lead=st.none() | st.integers(0, 8),
)


@settings(max_examples=300)
@given(scores(), timings, st.floats(0.5, 1.2))
def test_every_frame_belongs_to_one_phone(score, timing, part):
    frames = max(round(score.duration * RATE * part), 1)
    found = align(score, PhoneTokenizer(), frames, RATE, timing)
    assert found.frames == len(found.frame_pitch()) == frames
    assert (found.durations >= 0).all()
    assert ((found.pitches == 0) == (found.notes == -1)).all()
    assert sorted(set(found.notes[found.notes >= 0])) == list(range(len(score.notes)))


@given(scores(), st.integers(0, 6), st.integers(0, 6))
def test_notes_begin_and_end_at_rounded_times(score, onset, coda):
    frames = round(score.duration * RATE)
    found = align(score, PhoneTokenizer(), frames, RATE, Timing(onset, coda)).frame_notes()
    for index, note in enumerate(score.notes):
        start, end = round(note.start * RATE), round(note.end * RATE)
        assert (found == index).nonzero()[0].tolist() == list(range(start, min(end, frames)))


@given(scores(), st.integers(1, 6))
def test_before_begins_each_nucleus_on_its_note_where_time_suffices(score, onset):
    frames = round(score.duration * RATE)
    found = align(score, PhoneTokenizer(), frames, RATE, Timing(onset, placement="before"))
    begins = np.cumsum(found.durations) - found.durations
    previous = 0
    for index, note in enumerate(score.notes):
        own = found.notes == index
        nucleus = begins[own & (found.roles == ROLES.index("nucleus"))][0]
        start = round(note.start * RATE)
        if start - previous >= 4:  # half of the available frames suffices for two onset consonants
            assert nucleus == min(start, frames)
        previous = start


def test_onset_and_coda_take_three_frames_and_the_nucleus_the_rest():
    assert rows(song((0, 20, GANG)), Timing()) == [("g", 3), ("a", 14), ("ng", 3)]


def test_the_glide_belongs_to_the_nucleus():
    assert rows(song((0, 20, GA)), Timing()) == [("g", 3), ("wa", 17)]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (7, [3, 1, 3]),
        (6, [1, 4, 1]),
        (5, [1, 3, 1]),
        (3, [1, 1, 1]),
        (2, [0, 2, 0]),
        (1, [0, 1, 0]),
    ],
)
def test_short_notes_shorten_their_consonants(frames, expected):
    found = rows(song((0, frames, GANG)), Timing())
    assert [length for _, length in found] == expected


def test_a_short_note_with_long_consonants_follows_the_rule_of_frames_over_phones():
    found = rows(song((0, 12, GANG)), Timing(onset=6, coda=6))
    assert [length for _, length in found] == [3, 6, 3]  # 12 // 3 - 1 = 3


def test_rests_are_silence_tokens_of_pitch_0():
    score = song((10, 20, A), (25, 35, A), duration=0.5)
    assert rows(score, Timing()) == [
        ("<sil>", 10), ("a", 10), ("<sil>", 5), ("a", 10), ("<sil>", 15)
    ]  # fmt: skip


def test_a_slur_repeats_the_vowel_and_keeps_the_coda_for_its_last_note():
    score = song((0, 20, GANG), (20, 40, None), (40, 60, None))
    assert rows(score, Timing()) == [("g", 3), ("a", 17), ("a", 20), ("a", 17), ("ng", 3)]
    slurs = align(score, PhoneTokenizer(), 60, 100.0, Timing()).slurs
    assert slurs.tolist() == [False, False, True, True, True]


def test_a_slur_holds_the_vowel_without_its_glide():
    assert rows(song((0, 9, GA), (9, 20, None)), Timing())[-1] == ("a", 11)


def test_before_takes_the_onset_from_the_rest():
    score = song((10, 20, GANG), (30, 40, GA))
    assert rows(score, Timing(placement="before")) == [
        ("<sil>", 7), ("g", 3), ("a", 7), ("ng", 3), ("<sil>", 7), ("g", 3), ("wa", 10)
    ]  # fmt: skip


def test_before_takes_the_onset_from_the_previous_nucleus_where_there_is_no_rest():
    score = song((0, 20, A), (20, 40, GANG))
    assert rows(score, Timing(placement="before")) == [("a", 17), ("g", 3), ("a", 17), ("ng", 3)]


def test_before_takes_at_most_half_of_the_previous_note():
    found = rows(song((10, 14, A), (14, 40, GA)), Timing(placement="before"))
    assert found == [("<sil>", 10), ("a", 2), ("g", 2), ("wa", 26)]


def test_before_puts_the_onset_inside_a_note_at_the_very_beginning():
    assert rows(song((0, 20, GA)), Timing(placement="before")) == [("g", 3), ("wa", 17)]


def test_lead_limits_the_onset_frames_before_the_note():
    found = rows(song((10, 30, GA)), Timing(onset=6, placement="before", lead=4))
    assert found == [("<sil>", 6), ("g", 6), ("wa", 18)]


def test_frame_arrays_repeat_the_values_of_the_phones():
    score = song((5, 15, GANG), duration=0.2)
    found = align(score, PhoneTokenizer(), 20, 100.0, Timing())
    assert found.frame_pitch().tolist() == [0] * 5 + [60] * 10 + [0] * 5
    assert found.frame_notes().tolist() == [-1] * 5 + [0] * 10 + [-1] * 5
    assert (found.frame_tokens() == np.repeat(found.tokens, found.durations)).all()
    expected = [0] * 5 + [1] * 3 + [2] * 4 + [3] * 3 + [0] * 5
    assert found.frame_roles().tolist() == expected


def test_boundaries_do_not_drift_over_a_long_song():
    notes = tuple(Note(i * 0.1177, (i + 1) * 0.1177, 60, phones=A) for i in range(5000))
    score = Score(notes, notes[-1].end)
    found = align(score, PhoneTokenizer(), round(score.duration * RATE), RATE, Timing())
    begins = np.cumsum(found.durations) - found.durations
    expected = np.array([note.start for note in notes]) * RATE
    assert np.abs(begins - expected).max() <= 0.5


def test_a_note_without_a_syllable_is_an_error():
    with pytest.raises(DataError, match=r"note 1 at 0\.00 s has no syllable"):
        align(Score((Note(0, 1, 60),), 1.0), PhoneTokenizer(), 86, RATE, Timing())


@pytest.mark.parametrize("options", [{"onset": -1}, {"placement": "after"}, {"lead": 1.5}])
def test_timing_rejects_invalid_numbers_of_frames(options):
    with pytest.raises(ConfigError, match=r"timing\."):
        Timing(**options)
