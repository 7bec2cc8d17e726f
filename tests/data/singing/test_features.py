"""Stage 2: features of a prepared corpus."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, f0, log_mel, read_wav, write_wav
from voicediff.data.singing import features
from voicediff.data.singing.features import Statistics, extract, read_mel_spec, read_statistics
from voicediff.data.singing.kaldi import Recording, Utterance, write_folder
from voicediff.errors import ConfigError, DataError
from voicediff.music.score import Note, Score
from voicediff.text import load_tokenizer
from voicediff.text.tokenizers import JamoTokenizer

SPEC = MelSpec()
SCRIPT = Path(__file__).parents[3] / "egs/csd/svs/local/extract_features.py"


def prepare(data, split, pitches):
    """One song with a note of 0.5 s per pitch, split into lines of one note."""
    rate = SPEC.sample_rate
    hz = 440 * 2 ** ((np.repeat(pitches, rate // 2) - 69) / 12)
    wav = sum(np.sin(n * np.cumsum(2 * np.pi * hz / rate)) / n for n in range(1, 9)) * 0.1
    path = data / "wav" / f"{split}.wav"
    write_wav(path, wav.astype(np.float32), rate)
    notes = [Note(i / 2, i / 2 + 0.5, p, "나") for i, p in enumerate(pitches)]
    whole = Score(tuple(notes), len(pitches) / 2, f"{split} song")
    lines = [
        Utterance(
            f"{split}_{i}", split, i / 2, i / 2 + 0.5, "나", "s", whole.cut(i / 2, i / 2 + 0.5)
        )
        for i in range(len(pitches))
    ]
    write_folder(data / split, [Recording(split, path, whole)], lines)


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    prepare(data, "train", [60, 64, 67])
    prepare(data, "dev", [62])
    prepare(data, "test", [65, 72])
    return data


def test_features_are_those_of_the_segments(data, tmp_path):
    extract(data, tmp_path / "dump", SPEC, JamoTokenizer(pronounced=False))
    index = json.loads((tmp_path / "dump/train/index.json").read_text())
    entry = index["utterances"][1]
    assert index["mel"] == SPEC.hash and entry["utt"] == "train_1"
    assert Score.from_dict(entry["score"]).notes[0].pitch == 64
    wav, _ = read_wav(data / "wav/train.wav", start=0.5, end=1.0)
    with np.load(tmp_path / "dump/train" / entry["path"]) as arrays:
        assert arrays["mel"].shape == (80, entry["frames"]) and arrays["f0"].dtype == np.float32
        np.testing.assert_allclose(
            arrays["mel"], log_mel(torch.from_numpy(wav), SPEC), atol=5e-3
        )  # half precision
        np.testing.assert_array_equal(arrays["f0"], f0(wav, 22050, 256))
        assert abs(1200 * np.log2(np.median(arrays["f0"]) / 329.63)) < 3
    assert [p.name for p in sorted((tmp_path / "dump").iterdir())] == [
        "assets",
        "dev",
        "test",
        "train",
    ]


def test_statistics_are_those_of_all_training_frames(data, tmp_path):
    found = extract(data, tmp_path, SPEC, JamoTokenizer(pronounced=False))
    files = sorted((tmp_path / "train").glob("*.npz"))
    mel = np.concatenate([np.load(f)["mel"].astype(float) for f in files], 1)
    voiced = mel[:, np.concatenate([np.load(f)["f0"] for f in files]) > 0]
    np.testing.assert_allclose(found.mel_mean, mel.mean(1), rtol=1e-6)
    assert found.mel_std == pytest.approx(np.sqrt(mel.var(1).mean()))
    np.testing.assert_allclose(found.voiced_mean, voiced.mean(1), rtol=1e-6)
    assert found.voiced_std == pytest.approx(np.sqrt(voiced.var(1).mean()))
    assert (found.utterances, found.frames, found.voiced_frames) == (3, mel.shape[1], len(voiced.T))
    assert found.pitch_range == (60, 67)
    assert read_statistics(tmp_path / "assets") == found
    assert read_mel_spec(tmp_path / "assets") == SPEC
    assert load_tokenizer(tmp_path / "assets").name == "jamo"


def test_unchanged_utterances_are_skipped(data, tmp_path, monkeypatch):
    dump, tokenizer = tmp_path / "dump", JamoTokenizer(pronounced=False)
    first = extract(data, dump, SPEC, tokenizer)
    (dump / "train/train_0.npz").unlink()  # as after an interruption
    (dump / "train/train_1.npz").write_bytes(b"PK\x03\x04 half a file")
    computed = []
    monkeypatch.setattr(features, "log_mel", lambda wav, s: computed.append(1) or log_mel(wav, s))
    assert extract(data, dump, SPEC, tokenizer) == first
    assert len(computed) == 2
    os.utime(data / "wav/test.wav", ns=(0, 0))  # another recording
    extract(data, dump, SPEC, tokenizer)
    assert len(computed) == 4
    other = MelSpec(fmax=7600.0)
    extract(data, dump, other, tokenizer)
    assert len(computed) == 10 and read_mel_spec(dump / "assets") == other


def test_two_processes_give_the_same_files_as_one(data, tmp_path):
    tokenizer = JamoTokenizer(pronounced=False)
    one = extract(data, tmp_path / "one", SPEC, tokenizer)
    two = extract(data, tmp_path / "two", SPEC, tokenizer, jobs=2)
    assert one == two
    for path in (tmp_path / "one").glob("*/*.json"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


def test_missing_and_damaged_assets_are_data_errors(tmp_path):
    with pytest.raises(DataError, match=r"mel\.yaml: missing"):
        read_mel_spec(tmp_path)
    with pytest.raises(DataError, match=r"stats\.json: missing"):
        read_statistics(tmp_path)
    (tmp_path / "stats.json").write_text("{}")
    with pytest.raises(DataError, match=r"stats\.json: damaged"):
        read_statistics(tmp_path)
    (tmp_path / "mel.yaml").write_text("hop: 100\nhash: 12345678\n")
    with pytest.raises(DataError, match=r"mel\.yaml: hash 12345678"):
        read_mel_spec(tmp_path)


def test_neutral_statistics_change_nothing():
    neutral = Statistics.neutral(4)
    assert neutral.mel_mean == (0, 0, 0, 0) and neutral.mel_std == 1


def test_missing_dask_is_an_error_in_one_line(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="`distributed` is not installed"):
        extract(data, tmp_path, SPEC, JamoTokenizer(), dask_scheduler="tcp://127.0.0.1:1")


def test_the_script_extracts_and_reports_errors_in_one_line(data, tmp_path):
    config = tmp_path / "train.yaml"
    config.write_text("task: {name: svs, tokenizer: {name: jamo}, mel: {fmax: 7600}}\n")
    arguments = ["--config", config, "--data", data, "--out", tmp_path / "dump"]
    command = [sys.executable, SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 utterances" in done.stdout and "MIDI 60 to 67" in done.stdout
    assert read_mel_spec(tmp_path / "dump/assets") == MelSpec(fmax=7600.0)
    (data / "wav/train.wav").unlink()
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2
    assert "train.wav" in failed.stderr.splitlines()[-1] and "Traceback" not in failed.stderr
