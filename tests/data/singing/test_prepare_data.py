import importlib.util
import json
import sys
from pathlib import Path

import pytest
from real_data import LITTLE_STAR, needs_little_star

from voicediff.data.singing.kaldi import read_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def stage():
    path = ROOT / "egs/csd/svs/local/prepare_data.py"
    spec = importlib.util.spec_from_file_location("prepare_data", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(stage, monkeypatch, *options) -> int:
    monkeypatch.setattr(sys, "argv", ["prepare_data.py", *map(str, options)])
    return stage.main()


@pytest.fixture(scope="module")
def prepared(stage, tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "mini"
    with pytest.MonkeyPatch.context() as patch:
        assert call(stage, patch, "--out", out, "--minutes", "0.5", "--seed", "2") == 0
    return out


def options_for(prepared):
    return "--out", prepared, "--minutes", "0.5", "--seed", "2"


def test_the_mini_corpus_is_split_into_three_folders_of_different_songs(prepared):
    songs = {part: set(read_folder(prepared / part).songs) for part in ("train", "dev", "test")}
    assert songs["dev"] == {"kr046a", "kr046b"} and songs["test"] == {"kr047a", "kr047b"}
    assert songs["train"] and max(songs["train"]) < "kr046"
    folder = read_folder(prepared / "test")
    line = folder.score(folder.utterances[0])
    assert line.notes[0].phones and line.notes[0].syllable


def test_the_summary_has_the_sizes_of_the_splits(prepared):
    summary = json.loads((prepared / "prepared.json").read_text(encoding="utf-8"))["summary"]
    assert "part   songs  lines  minutes" in summary and "phone errors" in summary


def test_completed_stages_are_skipped_and_a_damaged_folder_is_made_again(
    stage, prepared, monkeypatch, capsys
):
    assert call(stage, monkeypatch, *options_for(prepared)) == 0
    assert "done already" in capsys.readouterr().out
    (prepared / "dev" / "text").unlink()
    assert call(stage, monkeypatch, *options_for(prepared)) == 0
    assert "done already" not in capsys.readouterr().out
    assert read_folder(prepared / "dev").utterances


def test_problems_exit_with_2_before_anything_is_written_unless_skipped(
    stage, prepared, tmp_path, monkeypatch, capsys
):
    root = tmp_path / "CSD"
    for path in (prepared / "CSD").rglob("*"):
        if path.is_file():
            target = root / path.relative_to(prepared / "CSD")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    wav = root / "korean" / "wav" / "kr001b.wav"
    wav.write_bytes(wav.read_bytes()[:9999])
    (root / "korean" / "txt" / "kr002a.txt").unlink()
    options = ("--csd-root", root, "--out", tmp_path / "out")
    assert call(stage, monkeypatch, *options) == 2
    error = capsys.readouterr().err
    assert "kr001b.wav: truncated" in error and "kr002a.txt: missing" in error
    assert "2 problems in 2 songs" in error and "--skip-bad" in error
    assert not (tmp_path / "out").exists()
    assert call(stage, monkeypatch, *options, "--skip-bad") == 0
    assert set(read_folder(tmp_path / "out" / "train").songs) == {"kr001a", "kr002b"}
    assert "2 bad songs left out" in capsys.readouterr().out
    assert len((tmp_path / "out" / "problems.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csd-root", "/nowhere"), "/nowhere: no such folder"),
        (("--csd-root", ROOT / "egs"), "neither korean/"),
        (("--minutes", "0"), "give more than 0"),
    ],
)
def test_wrong_options_exit_with_2(stage, tmp_path, monkeypatch, capsys, options, message):
    assert call(stage, monkeypatch, "--out", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err


@needs_little_star
def test_one_real_recording_is_split_into_training_and_test(stage, tmp_path, monkeypatch, capsys):
    out = tmp_path / "star"
    options = ("--csd-root", LITTLE_STAR, "--out", out, "--test-from", "20")
    assert call(stage, monkeypatch, *options) == 0
    train, test = read_folder(out / "train"), read_folder(out / "test")
    assert next(iter(train.texts.values())) == "반짝반짝 작은별"
    notes = sum(len(f.song_score("little_star").notes) for f in (train, test))
    assert notes == 42
    assert test.song_score("little_star").duration == pytest.approx(10.25, abs=0.1)
    assert "trains on 0 to 17.75 s" in capsys.readouterr().out
