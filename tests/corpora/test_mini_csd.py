import filecmp
import json

import numpy as np
import pytest
import soundfile

from voicediff.corpora.csd import make_corpus
from voicediff.corpora.csd.corpus import HIGHEST, LOWEST, TEST, TRAINING, compose, song_numbers
from voicediff.corpora.csd.lines import spoken, write_line
from voicediff.corpora.csd.tunes import held_out_tunes, parse_tune, training_tunes
from voicediff.corpora.csd.words import held_out_words, training_words
from voicediff.errors import DataError
from voicediff.music.csd import read_csd
from voicediff.text import hangul
from voicediff.text.phones import PHONES, from_spoken

KINDS = {"wav": "wav", "mid": "mid", "lyric": "txt", "txt": "txt", "csv": "csv", "f0": "npz"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini") / "CSD"
    names = list(make_corpus(folder, minutes=0.3, seed=3))
    return folder, names


def test_every_song_has_its_files_in_both_keys(corpus):
    folder, names = corpus
    assert {name[-1] for name in names} == {"a", "b"}
    for kind, ending in KINDS.items():
        found = sorted(path.name for path in (folder / "korean" / kind).iterdir())
        assert found == sorted(f"{name}.{ending}" for name in names)
    described = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert sorted(described) == sorted(names)
    assert all(set(d) == {"song_name", "tempo", "time_signature"} for d in described.values())


def test_wavs_are_mono_16_bit_44_1_khz_and_end_soon_after_the_last_note(corpus):
    folder, names = corpus
    for name in names:
        info = soundfile.info(folder / "korean" / "wav" / f"{name}.wav")
        assert (info.samplerate, info.channels, info.subtype) == (44100, 1, "PCM_16")
        score = read_csd(folder / "korean" / "csv" / f"{name}.csv")
        assert 0 < info.duration - score.notes[-1].end < 5


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_jobs(corpus, tmp_path):
    folder, _ = corpus
    list(make_corpus(tmp_path / "again", minutes=0.3, seed=3, jobs=2))
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert filecmp.cmpfiles(folder, tmp_path / "again", files, shallow=False)[1:] == ([], [])


def test_another_seed_gives_other_songs():
    assert compose(1, 30, seed=1)[0].score != compose(1, 30, seed=2)[0].score


@pytest.mark.parametrize("number", [1, 17, 45, 46, 50])
def test_the_keys_of_a_song_are_3_to_5_semitones_apart_within_the_range(number):
    low, high = (song.score for song in compose(number, 30, seed=1))
    steps = {b.pitch - a.pitch for a, b in zip(low.notes, high.notes, strict=True)}
    assert len(steps) == 1 and steps < {3, 4, 5}
    assert min(n.pitch for n in low.notes) >= LOWEST
    assert max(n.pitch for n in high.notes) <= HIGHEST


def test_tunes_and_words_of_test_songs_do_not_occur_in_training():
    training = {phrase for tune in training_tunes() for phrase in tune.phrases}
    for tune in held_out_tunes():
        assert not training & set(tune.phrases), tune.name
    assert not training_words().all & held_out_words().all
    assert len(training_words().all) >= 600
    assert len(training_tunes()) >= 20


def test_a_small_corpus_has_songs_of_every_split():
    numbers = song_numbers(1.0)
    assert numbers == [1, 2, 46, 47]
    full = song_numbers(30.0)
    assert full == [*TRAINING, 46, *TEST]


@pytest.mark.parametrize("syllables", [1, 2, 3, 5, 7, 8, 11, 14, 23])
def test_lines_have_the_requested_number_of_syllables(syllables):
    for seed in range(20):
        line = write_line(syllables, training_words(), np.random.default_rng(seed))
        assert sum(map(hangul.is_syllable, line)) == syllables


@pytest.mark.parametrize(
    ("written", "sung"),
    [
        ("같이 꽃을 먹는다", "가치 꼬츨 멍는다"),
        ("좋아한다", "조아한다"),
        ("닭이 값을 읽는다", "달기 갑쓰 링는다"),
        ("신라 종로", "실라 종노"),
        ("못해요", "모태요"),
        ("방긋 앉아요", "방그 단자요"),
        ("흰 국화", "힌 구콰"),
        ("들어가져요", "드러가저요"),
    ],
)
def test_lines_have_their_standard_pronunciation(written, sung):
    assert spoken(written).replace(" ", "") == sung.replace(" ", "")


def test_every_phone_of_the_corpus_occurs():
    rng = np.random.default_rng(0)
    found = set()
    for words in (training_words(), held_out_words()):
        for _ in range(300):
            for syllable in from_spoken(spoken(write_line(int(rng.integers(3, 12)), words, rng))):
                found |= set(syllable.onset) | set(syllable.coda) | {syllable.nucleus}
    assert set(PHONES) - {"y", "w"} <= found


def test_slurs_are_3_to_6_percent_of_the_notes():
    songs = [compose(number, 30, seed=1)[0].score for number in song_numbers(30)]
    notes = [note for score in songs for note in score.notes]
    assert 0.03 < sum(note.slur for note in notes) / len(notes) < 0.06


def test_an_invalid_note_of_a_tune_is_an_error():
    with pytest.raises(DataError, match=r"tune Test: '9:2' is not a note"):
        parse_tune("Test", 100, "4/4", "1 2 9:2")
