import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicediff.errors import DataError
from voicediff.music import Note, Score


def song(*spans: tuple[float, float], duration: float | None = None, **fields) -> Score:
    notes = tuple(Note(a, b, 60 + i % 12, "가") for i, (a, b) in enumerate(spans))
    return Score(notes, duration or spans[-1][1], **fields)


@st.composite
def scores(draw):
    time, notes = 0.0, []
    for index in range(draw(st.integers(1, 30))):
        time += draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))
        length = draw(st.floats(0.03, 3.0))
        slur = bool(index) and draw(st.booleans())
        notes.append(Note(time, time + length, draw(st.integers(40, 80)), "강", slur))
        time += length
    return Score(tuple(notes), time + draw(st.floats(0, 2)))


@given(scores())
def test_a_score_round_trips_through_json(score):
    assert Score.from_dict(json.loads(json.dumps(score.to_dict()))) == score


def test_phones_round_trip_through_json():
    score = Score((Note(0, 1, 60, "가", phones=("g", "a")),), 2.0, "노래", ((0.0, 90.0),), (0,))
    assert Score.from_dict(json.loads(json.dumps(score.to_dict()))) == score


@given(scores(), st.floats(1.0, 19.0))
def test_lines_contain_every_note_once_and_do_not_overlap(score, longest):
    lines = score.lines(longest=longest)
    assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(lines))
    found = [n.pitch for a, b in lines for n in score.cut(a, b).notes]
    assert found == [n.pitch for n in score.notes]


@given(scores())
def test_a_long_line_is_cut_wherever_a_syllable_begins(score):
    for start, end in score.lines(longest=4.0, margin=0.0):
        part = score.cut(start, end)
        if part.notes[-1].end - part.notes[0].start > 4.0 + 1e-6:
            assert len(part.syllable_starts()) == 1


def test_a_line_too_long_is_cut_at_its_longest_gap():
    score = song((0, 5), (5.05, 10), (10.2, 12), (12, 14))
    assert score.lines(min_rest=0.25, longest=12.0) == [(0, 10.1), (10.1, 14)]


def test_lines_keep_the_margin_of_a_long_rest():
    assert song((2, 3), (6, 7), duration=9).lines(margin=0.3) == [(1.7, 3.3), (5.7, 7.3)]


def test_cut_begins_a_new_syllable_where_a_slur_is_cut():
    score = Score((Note(0, 1, 60, "강"), Note(1, 2, 62, slur=True)), 2.0)
    assert score.cut(1.0, 2.0).notes == (Note(0, 1, 62, "강"),)


def test_cut_keeps_tempo_and_phrases():
    score = song((0, 1), (1, 2), (2, 3), tempo=((0.0, 100.0), (1.5, 90.0)), phrases=(0, 1))
    part = score.cut(1.0, 3.0)
    assert (part.tempo, part.phrases) == (((0.0, 100.0), (0.5, 90.0)), (0,))


def test_stretch_by_two_halves_every_time():
    fast = song((0, 1), (2, 3), duration=4).stretch(2.0)
    assert [n.end for n in fast.notes] == [0.5, 1.5]
    assert (fast.duration, fast.tempo) == (2.0, ((0.0, 240.0),))


def test_transpose_shifts_pitches_within_the_midi_range():
    assert song((0, 1)).transpose(-3).notes[0].pitch == 57
    with pytest.raises(DataError, match="pitch 130 is outside MIDI's 0 to 127"):
        song((0, 1)).transpose(70)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ((), "no notes"),
        ((Note(0, 1, 60), Note(0.5, 2, 60)), "note 2 at 0.500 s: begins before note 1 ends"),
        ((Note(1, 1, 60),), "note 1 at 1.000 s: ends at 1.000 s"),
        ((Note(-1, 1, 60),), "times start at 0"),
        ((Note(0, float("nan"), 60),), "times start at 0"),
        ((Note(0, 1, 60, "ab"),), "'ab' is not one Hangul syllable"),
        ((Note(0, 1, 60, slur=True),), "the first note has no previous syllable"),
        ((Note(0, 9, 60),), "lasts 5.000 s but its last note ends at 9.000 s"),
    ],
)
def test_an_invalid_score_is_an_error_with_its_place(notes, message):
    with pytest.raises(DataError, match=message):
        Score(notes, 5.0)


@pytest.mark.parametrize("data", [{}, {"notes": 3}, {"notes": [1]}, {"notes": [{"start": "x"}]}])
def test_what_is_not_a_score_is_a_data_error(data):
    with pytest.raises(DataError, match=r"song\.json: not a score"):
        Score.from_dict(data, at="song.json")
