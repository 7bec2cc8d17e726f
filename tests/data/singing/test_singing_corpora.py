import re
import shutil
import wave

import numpy as np
import pytest
from real_data import LITTLE_STAR, needs_little_star

from voicediff.corpora.csd import make_corpus
from voicediff.data.singing.csd import is_csd, survey_csd
from voicediff.data.singing.mlp_singer import is_mlp_singer, survey_mlp_singer
from voicediff.data.singing.songs import Survey
from voicediff.errors import DataError
from voicediff.music.csd import read_csd


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean") / "CSD"
    list(make_corpus(folder, minutes=0.3, seed=5))
    return folder


@pytest.fixture
def corpus(clean, tmp_path):
    shutil.copytree(clean, tmp_path / "CSD")
    return tmp_path / "CSD"


def survey(root, reader=survey_csd) -> Survey:
    whole = Survey()
    for part in reader(root):
        whole.add(part)
    return whole


def only_problem(root, reader=survey_csd) -> str:
    problems = survey(root, reader).problems
    assert len(problems) == 1, [str(problem) for problem in problems]
    return str(problems[0])


def file(corpus, kind, name="kr001a"):
    ending = {"wav": "wav", "mid": "mid", "csv": "csv"}.get(kind, "txt")
    return corpus / "korean" / kind / f"{name}.{ending}"


def edit(path, change):
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def edit_row(path, row, **cells):
    """Change cells of the note `row` (from 1) of a csv file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    old = dict(zip(("start", "end", "pitch", "syllable"), lines[row].split(","), strict=True))
    lines[row] = ",".join(str(v) for v in (old | cells).values())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_clean_corpus_has_all_its_songs_and_no_problems(corpus):
    found = survey(corpus)
    assert found.problems == []
    names = [song.name for song in found.songs]
    assert names == sorted(path.stem for path in (corpus / "korean" / "wav").iterdir())
    assert [(s.number, s.key) for s in found.songs][:2] == [(1, "a"), (1, "b")]
    assert not re.fullmatch(r"kr\d+\w", found.songs[0].score.title)  # the name in metadata.json


def test_the_parent_folder_of_csd_is_accepted(corpus):
    assert is_csd(corpus) and is_csd(corpus.parent) and not is_csd(corpus / "korean")
    assert len(survey(corpus.parent).songs) == len(survey(corpus).songs)


def test_a_byte_order_mark_and_an_english_part_are_accepted(corpus):
    edit(file(corpus, "csv"), lambda text: "\ufeff" + text)
    (corpus / "english" / "wav").mkdir(parents=True)
    found = survey(corpus)
    assert found.problems == [] and "english: skipped" in found.notes[0]


@pytest.mark.parametrize("kind", ["wav", "mid", "lyric", "txt", "csv"])
def test_a_missing_file_is_reported(corpus, kind):
    file(corpus, kind).unlink()
    message = only_problem(corpus)
    assert str(file(corpus, kind)) in message and "missing" in message


def test_a_truncated_wav_is_reported(corpus):
    path = file(corpus, "wav")
    path.write_bytes(path.read_bytes()[:20000])
    message = only_problem(corpus)
    assert message.startswith(str(path)) and "truncated" in message


def test_an_invalid_wav_is_reported(corpus):
    file(corpus, "wav").write_bytes(b"not a sound" * 100)
    assert "not a readable sound file" in only_problem(corpus)


def write_silence(path, seconds, rate=44100):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        noise = np.random.default_rng(0).integers(-900, 900, round(seconds * rate))
        out.writeframes(noise.astype("<i2").tobytes())


def test_a_low_sample_rate_is_reported(corpus):
    score = read_csd(file(corpus, "csv"))
    write_silence(file(corpus, "wav"), score.duration + 0.5, 8000)
    assert "recorded at 8000 Hz; export it with at least 16000 Hz" in only_problem(corpus)


def test_a_too_short_recording_is_reported_with_the_last_note(corpus):
    score = read_csd(file(corpus, "csv"))
    write_silence(file(corpus, "wav"), score.duration - 1.0)
    last = len(score.notes)
    assert f"note {last} at " in only_problem(corpus)
    assert "but the recording is" in only_problem(corpus)


def test_a_recording_may_continue_for_at_most_5_seconds(corpus):
    score = read_csd(file(corpus, "csv"))
    write_silence(file(corpus, "wav"), score.duration + 4.9)
    assert survey(corpus).problems == []
    write_silence(file(corpus, "wav"), score.duration + 5.2)
    assert "the recording continues for 5.200 s (at most 5)" in only_problem(corpus)


def test_an_unknown_phone_is_reported_with_line_and_note(corpus):
    edit(file(corpus, "txt"), lambda text: "x_a" + text[text.index(" ") :])
    message = only_problem(corpus)
    assert "note 1: line 1: unknown phone 'x'" in message


def test_a_missing_row_is_located(corpus):
    path = file(corpus, "csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    texts = [line.split(",")[3] for line in lines]
    lost = next(i for i in range(2, len(lines) - 1) if texts[i] != texts[i + 1])
    path.write_text("\n".join(lines[:lost] + lines[lost + 1 :]), encoding="utf-8")
    problems = [str(problem) for problem in survey(corpus).problems]
    assert len(problems) == 2  # against mid and against txt
    assert all(
        f"note {lost} at " in problem and "difference is at or before" in problem
        for problem in problems
    )


def test_a_missing_syllable_of_txt_is_found_by_comparison_with_csv_and_lyric(corpus):
    edit(file(corpus, "txt"), lambda text: text.split(" ", 1)[1])
    problems = [str(problem) for problem in survey(corpus).problems]
    assert len(problems) == 2
    assert "syllables but" in problems[0] and "note 1 at " in problems[0]
    assert "Hangul syllables but" in problems[1]


def test_a_missing_hangul_syllable_is_found(corpus):
    edit(file(corpus, "lyric"), lambda text: text[1:])
    assert "Hangul syllables but" in only_problem(corpus)


def test_a_midi_file_without_notes_is_reported(corpus):
    file(corpus, "mid").write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0")
    assert "no notes" in only_problem(corpus)


def test_text_that_is_not_utf_8_is_reported(corpus):
    file(corpus, "lyric").write_bytes("별".encode("euc-kr"))
    assert "not UTF-8" in only_problem(corpus)


def test_empty_lyrics_are_reported(corpus):
    file(corpus, "lyric").write_text("\n")
    assert "no syllables" in only_problem(corpus)


def test_a_note_without_length_is_reported(corpus):
    start = read_csd(file(corpus, "csv")).notes[1].start
    edit_row(file(corpus, "csv"), 2, end=f"{start:.6f}")
    message = only_problem(corpus)
    assert f"note 2 at {start:.3f} s: ends at {start:.3f} s; give it a length" in message


def test_a_pitch_outside_the_range_of_singing_is_reported(corpus):
    edit_row(file(corpus, "csv"), 2, pitch=12)
    assert "note 2 at" in only_problem(corpus) and "pitch 12" in only_problem(corpus)


def test_a_small_overlap_is_repaired_and_counted(corpus):
    following = read_csd(file(corpus, "csv")).notes[1].start
    edit_row(file(corpus, "csv"), 1, end=f"{following + 0.02:.6f}")
    found = survey(corpus)
    assert found.problems == [] and found.counts["overlaps repaired"] == 1
    notes = next(song for song in found.songs if song.name == "kr001a").score.notes
    assert notes[0].end == notes[1].start == pytest.approx(following)


def test_a_large_overlap_is_reported(corpus):
    notes = read_csd(file(corpus, "csv")).notes
    edit_row(file(corpus, "csv"), 1, end=f"{notes[1].start + 0.6:.6f}")
    assert re.search(r"note 2 at .*begins 0.600 s before note 1 ends", only_problem(corpus))


def test_every_problem_of_every_song_is_listed_and_bad_songs_can_be_skipped(corpus):
    file(corpus, "wav").unlink()
    edit_row(file(corpus, "csv", "kr046a"), 1, pitch=5)
    edit_row(file(corpus, "csv", "kr046a"), 3, pitch=6)
    found = survey(corpus)
    with pytest.raises(DataError) as stop:
        found.require_good(skip_bad=False)
    lines = str(stop.value).splitlines()
    assert len(lines) == 4 and "3 problems in 2 songs" in lines[3] and "--skip-bad" in lines[3]
    found.require_good(skip_bad=True)
    assert {"kr001a", "kr046a"}.isdisjoint(song.name for song in found.songs)


def test_no_song_left_is_an_error_even_when_bad_songs_are_skipped():
    with pytest.raises(DataError, match="no song without problems is left"):
        Survey().require_good(skip_bad=True)


def test_a_file_with_a_foreign_name_is_reported(corpus):
    shutil.copy(file(corpus, "wav"), file(corpus, "wav", "demo"))
    assert "not a song name" in only_problem(corpus)


def test_a_folder_without_songs_is_an_error_with_the_expected_layout(tmp_path):
    with pytest.raises(DataError, match="no korean/csv"):
        list(survey_csd(tmp_path))


@pytest.fixture
def own(corpus, tmp_path):
    """The first two songs in MLP Singer's layout."""
    root = tmp_path / "own"
    for kind, source in (("wav", "wav"), ("mid", "mid"), ("txt", "lyric")):
        (root / kind).mkdir(parents=True)
        for name in ("kr001a", "kr001b"):
            shutil.copy(file(corpus, source, name), root / kind)
    return root


def test_mlp_singers_layout_is_read(own, corpus):
    found = survey(own, survey_mlp_singer)
    assert is_mlp_singer(own) and found.problems == []
    ours, theirs = found.songs[0].score, survey(corpus).songs[0].score
    assert [n.pitch for n in ours.notes] == [n.pitch for n in theirs.notes]
    assert ours.duration == pytest.approx(theirs.duration)
    assert ours.notes[0].phones is None


def test_problems_of_mlp_singers_layout_are_all_named(own):
    edit(own / "txt" / "kr001a.txt", lambda text: text[1:])
    (own / "mid" / "kr001b.mid").unlink()
    messages = [str(problem) for problem in survey(own, survey_mlp_singer).problems]
    assert len(messages) == 2
    assert "no syllable from note" in messages[0]
    assert messages[1] == f"{own / 'mid' / 'kr001b.mid'}: missing; a song has wav, mid and txt"


@needs_little_star
def test_a_real_song_in_mlp_singers_layout_is_read():
    found = survey(LITTLE_STAR, survey_mlp_singer)
    assert found.problems == []
    score = found.songs[0].score
    assert len(score.notes) == 42 and score.duration == pytest.approx(28.0, abs=0.05)
