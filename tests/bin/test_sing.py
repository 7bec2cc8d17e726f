"""`voicediff sing`, with a small model with random weights."""

from pathlib import Path

import pytest
import soundfile

from voicediff import examples, experiment
from voicediff.bin.main import main
from voicediff.experiment import read_config
from voicediff.music import Note, Score, write_midi

CONF = Path(__file__).parents[2] / "egs" / "csd" / "svs" / "conf" / "train_smoke.yaml"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp") / "smoke"
    config = read_config(CONF)
    weights = config.build_task().state_dict()
    experiment.create(folder, config, None)
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    return folder


@pytest.fixture
def song(tmp_path):
    notes = tuple(Note(0.5 + 0.4 * i, 0.85 + 0.4 * i, 60 + i) for i in range(4))
    write_midi(Score(notes, 2.5), tmp_path / "song.mid")
    (tmp_path / "words.txt").write_text("나비 나비\n", encoding="utf-8")
    return tmp_path


def test_the_song_is_as_long_as_its_score(model, song):
    files = ["sing", str(song / "song.mid"), "--lyrics", str(song / "words.txt")]
    for options, seconds in ((["--steps", "2"], 2.1), (["--steps", "0", "--tempo", "2"], 1.05)):
        assert main([*files, "--model", str(model), "-o", str(song / "song.wav"), *options]) == 0
        assert soundfile.info(song / "song.wav").duration >= seconds - 0.06


def test_the_example_is_sung_from_either_of_its_files(model, tmp_path, capsys):
    for name, score in (("a", ["--example"]), ("b", [str(examples.MUSICXML)])):
        options = ["--model", str(model), "--steps", "0", "-o", str(tmp_path / f"{name}.wav")]
        assert main(["sing", *score, *options]) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert main(["sing", "-o", str(tmp_path / "c.wav")]) == 2
    assert "give either a score or --example" in capsys.readouterr().err


def test_words_that_do_not_fit_leave_no_file(model, song, capsys):
    (song / "words.txt").write_text("나비\n", encoding="utf-8")
    files = ["sing", str(song / "song.mid"), "--lyrics", str(song / "words.txt")]
    assert main([*files, "--model", str(model), "-o", str(song / "song.wav")]) == 2
    assert "4 notes but 2 syllables" in capsys.readouterr().err
    assert not (song / "song.wav").exists()


def test_a_phrase_is_sung_anew_and_the_rest_is_kept(model, song):
    files = ["sing", str(song / "song.mid"), "--lyrics", str(song / "words.txt"), "--steps", "2"]
    files += ["--model", str(model), "-o"]
    first, second = song / "first.wav", song / "second.wav"
    assert main([*files, str(first)]) == 0
    edit = ["--replace", str(first), "--from", "0.9", "--to", "1.5", "--seed", "7"]
    assert main([*files, str(second), *edit]) == 0
    (one, rate), (two, _) = soundfile.read(first), soundfile.read(second)
    # as a whole a take may be turned down, so that its new part is not over full scale
    head, tail = slice(0, int(0.87 * rate)), slice(int(1.53 * rate), len(one))
    loudness = (one[head] @ two[head]) / (one[head] @ one[head])
    assert all(abs(loudness * one[part] - two[part]).max() < 1e-3 for part in (head, tail))
    middle = slice(int(1.0 * rate), int(1.4 * rate))
    assert abs(loudness * one[middle] - two[middle]).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "take.wav", "--from", "1"], "need both --from S and --to S"),
        (["--from", "1", "--to", "2"], "need both --from S and --to S"),
        (["--guidance", "states"], "--guidance states: expected NAME=SCALE"),
        (["--guidance", "states=1"], "guidance.states: this condition was not dropped"),
        (["--shallow", "0.9"], "at most 0.7, found 0.9"),
    ],
)
def test_mistaken_options_are_one_line(model, song, capsys, options, message):
    files = ["sing", str(song / "song.mid"), "--lyrics", str(song / "words.txt")]
    assert main([*files, "--model", str(model), "-o", str(song / "song.wav"), *options]) == 2
    assert message in capsys.readouterr().err


def test_numbers_in_lyrics_are_printed_as_they_are_sung(model, song, capsys):
    (song / "words.txt").write_text("곰 3마리\n", encoding="utf-8")
    files = ["sing", str(song / "song.mid"), "--lyrics", str(song / "words.txt"), "--steps", "0"]
    files += ["--model", str(model), "-o", str(song / "song.wav"), "--pronouncer", "rules"]
    assert main(files) == 0
    assert "words.txt:1: 3마리 is sung as 세마리" in capsys.readouterr().err
