import json
import wave

import pytest

from voicediff.data.singing.kaldi import (
    Recording,
    Utterance,
    read_folder,
    validate_folder,
    write_folder,
)
from voicediff.data.singing.lines import (
    Split,
    cutting_point,
    line_text,
    reference_phones,
    share_of_slurs,
    spans,
    utterances_of,
)
from voicediff.data.singing.songs import Song
from voicediff.errors import DataError
from voicediff.music import Note, Score


def tune(*spans_, **fields) -> Score:
    notes = tuple(Note(a, b, 60 + i % 5, "별") for i, (a, b) in enumerate(spans_))
    return Score(notes, spans_[-1][1] + 0.5, "별 노래", **fields)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "wav" / "kr001a.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * 16000 * 10))
    return path


@pytest.fixture
def song(recording):
    return Song("kr001a", 1, "a", recording, tune((0.5, 2), (2, 4), (5, 6), (6, 9.5)))


@pytest.fixture
def folder(song, tmp_path):
    path = tmp_path / "data" / "train"
    whole = [Recording(song.name, song.wav, song.score)]
    write_folder(path, whole, utterances_of(song, "csd"))
    return path


def edit(path, change):
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def test_a_folder_is_read_as_written(folder, song):
    read = read_folder(folder)
    assert read.utterances == ["csd-kr001a-001", "csd-kr001a-002"]
    assert read.segment("csd-kr001a-002") == ("kr001a", 4.7, 9.8)
    assert read.song_score("kr001a") == song.score
    assert read.wav("csd-kr001a-001").samefile(song.wav)
    assert read.score("csd-kr001a-002").notes[0].start == pytest.approx(0.3)
    assert read.singers["csd-kr001a-001"] == "csd"


def test_tables_are_sorted_and_have_the_same_keys(folder):
    for name in ("segments", "text", "utt2spk", "score.scp"):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert [line.split()[0] for line in lines] == ["csd-kr001a-001", "csd-kr001a-002"]


def test_a_segment_beyond_the_recording_is_reported_with_its_line(folder):
    edit(folder / "segments", lambda text: text.replace("9.800000", "13.2"))
    assert validate_folder(folder) == [
        f"{folder}/segments:2: ends at 13.20 s but the recording is 10.00 s long; re-cut the segment"
    ]


def test_an_unsorted_table_is_reported(folder):
    edit(folder / "text", lambda text: "\n".join(reversed(text.splitlines())) + "\n")
    assert any(f"{folder}/text:2:" in p and "sort the table" in p for p in validate_folder(folder))


def test_a_duplicate_key_is_reported(folder):
    edit(folder / "utt2spk", lambda text: text.splitlines()[0] + "\n" + text)
    assert any("given twice" in problem for problem in validate_folder(folder))


def test_a_missing_key_is_reported(folder):
    edit(folder / "score.scp", lambda text: text.splitlines()[0] + "\n")
    problems = validate_folder(folder)
    assert problems == [
        f"{folder}/score.scp: 'csd-kr001a-002' of segments is missing; run stage 1 again"
    ]


def test_a_missing_score_and_a_missing_recording_are_both_reported(folder, song):
    (folder / "scores" / "csd-kr001a-001.json").unlink()
    song.wav.unlink()
    problems = validate_folder(folder)
    assert len(problems) == 2
    assert "wav.scp:1" in problems[0] and "score.scp:1" in problems[1]
    with pytest.raises(DataError, match=r"\(1 more problem\)"):
        read_folder(folder)


def test_a_damaged_score_is_one_line(folder):
    (folder / "scores" / "csd-kr001a-001.json").write_text("{")
    with pytest.raises(DataError, match=r"csd-kr001a-001\.json: not JSON"):
        read_folder(folder).score("csd-kr001a-001")


def test_an_invalid_folder_does_not_replace_the_previous_one(folder, song):
    late = Utterance("x-1", "kr001a", 0.0, 20.0, "별", "x", song.score)
    before = (folder / "segments").read_bytes()
    with pytest.raises(DataError, match=r"train/segments:1: ends at 20\.00 s"):
        write_folder(folder, [Recording("kr001a", song.wav, song.score)], [late])
    assert (folder / "segments").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["train"]


def test_a_name_given_twice_is_an_error(folder, song):
    item = Utterance("x-1", "kr001a", 0.0, 2.0, "별", "x", song.score)
    with pytest.raises(DataError, match="'x-1' is given twice"):
        write_folder(folder, [Recording("kr001a", song.wav, song.score)], [item, item])


def test_the_folder_can_be_moved_with_its_recordings(folder, song, tmp_path):
    inside = song.wav.parent.rename(tmp_path / "data" / "wav")
    whole = [Recording(song.name, inside / "kr001a.wav", song.score)]
    write_folder(folder, whole, utterances_of(song, "csd"))
    moved = (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert validate_folder(moved / "train") == []


def test_scores_of_lines_are_plain_json(folder):
    content = json.loads((folder / "scores" / "csd-kr001a-001.json").read_text(encoding="utf-8"))
    assert content["notes"][0]["syllable"] == "별"


def test_short_lines_are_joined_with_the_nearer_neighbour():
    score = tune((0, 1), (1.4, 2), (3, 7), (9, 10))
    found = [(round(start, 2), round(end, 2)) for start, end in spans(score)]
    assert found == [(0.0, 10.3)]
    score = tune((0, 4), (4.5, 5), (7, 11))
    assert [round(start, 2) for start, _ in spans(score)] == [0.0, 6.7]


def test_no_line_is_longer_than_19_seconds():
    score = tune(*((i * 0.5, i * 0.5 + 0.5) for i in range(200)))
    assert max(end - start for start, end in spans(score)) <= 19.0


def test_the_coda_of_a_slur_is_joined_to_its_syllable():
    notes = (
        Note(0, 1, 60, "여", phones=("y", "eo")),
        Note(1, 2, 62, "엉", True, ("eo", "ng")),
        Note(2, 3, 60, "차", phones=("ch", "a")),
    )
    score = Score(notes, 3.0, words=(0, 2))
    assert line_text(score) == "영 차"
    assert reference_phones(score) == ["y", "eo", "ng", "ch", "a"]
    assert share_of_slurs([score]) == pytest.approx(1 / 3)


def songs_numbered(*numbers, key="a"):
    return [Song(f"kr{n:03d}{key}", n, key, None, tune((0, 1))) for n in numbers]


def names(parts):
    return {part: [song.name for song in songs] for part, songs in parts.items()}


def test_the_corpus_is_split_by_its_standard_numbers():
    found = names(Split().parts(songs_numbered(1, 45, 46, 47, 50)))
    assert found == {
        "train": ["kr001a", "kr045a"],
        "dev": ["kr046a"],
        "test": ["kr047a", "kr050a"],
    }


def test_both_keys_of_a_song_stay_together():
    both = songs_numbered(1, 2, 3) + songs_numbered(1, 2, 3, key="b")
    found = names(Split(("2",), ("3",)).parts(both))
    assert found["test"] == ["kr003a", "kr003b"] and found["dev"] == ["kr002a", "kr002b"]


def test_a_corpus_without_numbers_is_tested_on_its_last_songs():
    found = names(Split().parts(songs_numbered(1, 2, 3, 4, key="")))
    assert found == {"train": ["kr001", "kr002"], "dev": ["kr003"], "test": ["kr004"]}


def test_an_empty_part_and_an_unknown_song_are_errors():
    with pytest.raises(DataError, match=r"no song for dev.*--test-from"):
        Split().parts(songs_numbered(1, 47))
    with pytest.raises(DataError, match="--test: no song 'kr999'"):
        Split((), ("kr999",)).parts(songs_numbered(1, 2))


def test_a_recording_is_split_where_a_line_begins():
    score = tune((0, 4), (5, 9), (10, 14))
    assert cutting_point(score, 11.0) == pytest.approx(9.7)
    assert cutting_point(score, 9.5) == pytest.approx(9.7)
    assert cutting_point(score, 6.0) == pytest.approx(4.7)
    with pytest.raises(DataError, match=r"cannot be cut at 1\.00 s; lines begin at"):
        cutting_point(score, 1.0)
