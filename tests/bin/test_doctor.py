"""`voicediff doctor`: the table, doctor.json and the exit status, for each kind of model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from voicediff import experiment
from voicediff.audio import MelSpec, write_wav
from voicediff.bin.main import main
from voicediff.experiment import Config, read_config
from voicediff.files import write_json
from voicediff.music.score import Note, Score
from voicediff.registry import Spec

sys.path.insert(0, str(Path(__file__).parents[1] / "diagnostics"))
import talkers

CONFS = Path(__file__).parents[2] / "egs"


def written(folder: Path, config: Config, step: int = 40) -> Path:
    """An experiment with random weights, none of them zero."""
    torch.manual_seed(0)
    task = config.build_task()
    for parameter in task.parameters():
        if not parameter.any():  # zero layers would hide what is under test
            torch.nn.init.normal_(parameter, std=0.1)
    experiment.create(folder, config, None)
    weights = task.state_dict()
    experiment.write_weights(folder / "last.safetensors", weights, weights, step, folder / "assets")
    return folder


@pytest.fixture(scope="module")
def separating(tmp_path_factory):
    """A separation model and a prepared folder."""
    place = tmp_path_factory.mktemp("doctor")
    config = Config(
        Spec(talkers.TASK, "task"),
        Spec({"name": "euler", "steps": 1}, "sampler"),
        {"phases": [dict(talkers.PHASE)]},
    )
    (place / "test").mkdir()
    return written(place / "exp", config), talkers.write_talkers(place / "test")


def features(folder: Path, spec: MelSpec) -> Path:
    """Two lines with mels of noise."""
    rng, entries = np.random.default_rng(0), []
    folder.mkdir()
    for i in range(3):
        utt, frames = f"line{i}", 70 + 8 * i
        score = Score((Note(0.05, 0.4, 60 + i, "나"),), frames * spec.hop / spec.sample_rate)
        mel = rng.normal(-5, 2, (spec.n_mels, frames)).astype(np.float16)
        np.savez(folder / f"{utt}.npz", mel=mel, f0=np.full(frames, 262.0, np.float32))
        wav = 0.1 * rng.standard_normal(frames * spec.hop).astype(np.float32)
        write_wav(folder / f"{utt}.wav", wav, spec.sample_rate)
        entries.append({"utt": utt, "frames": frames, "path": f"{utt}.npz"})
        entries[-1] |= {"score": score.to_dict(), "wav": str((folder / f"{utt}.wav").resolve())}
        entries[-1] |= {"start": 0.0, "end": frames * spec.hop / spec.sample_rate}
    write_json(folder / "index.json", {"mel": spec.hash, "utterances": entries})
    return folder


def doctor(model, dump, *options):
    words = ("doctor", "--model", model, "--dump", dump, "--device", "cpu", *options)
    return main([str(word) for word in words])


def test_an_untrained_separator_fails_and_the_table_names_the_checks(separating, capsys):
    model, dump = separating
    assert doctor(model, dump) == 1
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["check", "measured", "limit", "passed"]
    assert any("face A" in row and row.endswith("NO") for row in table)
    content = json.loads((model / "doctor.json").read_text())
    checks = {check["name"]: check["passed"] for check in content["checks"]}
    assert list(checks) == [
        "steps", "ema", "start", "stft", "length", "clock", "batches", "neighbours", "frozen",
        "times", "leak", "quality", "swap", "selection", "zeroed", "shuffled",
    ]  # fmt: skip
    assert checks["stft"] and checks["clock"] and checks["frozen"] and checks["neighbours"]
    assert not content["passed"] and not checks["selection"] and checks["steps"] is None
    assert content["mixtures"] == 6 and content["list"] == "own" and len(content["list_hash"]) == 12


def test_overfitting_is_an_option(separating, capsys):
    model, dump = separating
    assert doctor(model, dump, "--overfit", "--overfit-steps", "2", "--mixtures", "2") == 1
    checks = json.loads((model / "doctor.json").read_text())["checks"]
    assert checks[-1]["name"] == "overfit" and checks[-1]["figures"]["steps"] == 2
    assert "step 2:" in capsys.readouterr().err


def singer(place: Path) -> tuple[Path, MelSpec]:
    config = read_config(CONFS / "csd/svs/conf/train_smoke.yaml")
    return written(place / "svs", config, 1000), config.build_task().mel


def test_a_singing_model_passes_its_checks(tmp_path, capsys):
    model, spec = singer(tmp_path)
    assert doctor(model, features(tmp_path / "dev", spec)) == 0
    content = json.loads((model / "doctor.json").read_text())
    names = [check["name"] for check in content["checks"]]
    assert names == ["steps", "ema", "start", "mel", "finite", "batches", "times"]
    assert content["passed"] and "checks passed" in capsys.readouterr().out


def test_features_with_other_mel_settings_are_detected(tmp_path, capsys):
    model, spec = singer(tmp_path)
    other = MelSpec(fmin=spec.fmin + 10)
    assert doctor(model, features(tmp_path / "dev", other)) == 1
    assert f"= {spec.hash}" in capsys.readouterr().out


def test_a_vocoder_passes_its_checks(tmp_path):
    task = {"name": "vocoder", "vocoder": {"name": "vocos_source", "channels": 16, "layers": 1}}
    phase = {"name": "spectral", "targets": ["spectral"], "steps": 1000}
    model = written(
        tmp_path / "exp", Config(Spec(task, "task"), training={"phases": [phase]}), 1000
    )
    assert doctor(model, features(tmp_path / "dev", MelSpec())) == 0
    names = [g["name"] for g in json.loads((model / "doctor.json").read_text())["checks"]]
    assert names == ["steps", "ema", "start", "mel", "finite", "batches"]


def test_unsuitable_input_is_a_one_line_error(separating, tmp_path, capsys):
    model, dump = separating
    assert doctor(tmp_path, dump) == 2
    assert doctor(model, dump, "--list", "nobody") == 2
    assert doctor(model, dump, "--batch", "0") == 2
    errors = capsys.readouterr().err.splitlines()
    assert "not an experiment folder" in errors[0] and "there are: own" in errors[1]
    assert "--batch: expected 1 or more" in errors[2] and len(errors) == 3
    singing, spec = singer(tmp_path)
    assert doctor(singing, features(tmp_path / "dev", spec), "--overfit") == 2
    assert doctor(singing, tmp_path) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "--overfit: is for separation models" in errors[0]
    assert "run stage 2 (features) first" in errors[-1]
