"""`voicediff sweep` on the toy task: exact resuming and one-line errors."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from voicediff import optional
from voicediff.bin.main import main
from voicediff.config import dump_yaml

pytest.importorskip("optuna")

PHASE = {"name": "first", "targets": ["restore"], "steps": 3, "batch_size": 4}
CONFIG = {
    "import": ["toy_parts.py"],
    "task": {"name": "toy"},
    "training": {"phases": [PHASE], "validate_every": 10, "log_every": 3},
}
GRID = {
    "task.hidden": {"low": 4, "high": 9},
    "training.phases.first.optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "training.phases.first.batch_size": [2, 4],
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "dev"):
        (tmp_path / split).mkdir()
        rows = {f"utt{i}": rng.standard_normal((5 + i, 4), np.float32) for i in range(4)}
        np.savez(tmp_path / split / "sequences.npz", **rows)
    shutil.copy(Path(__file__).with_name("toy_parts.py"), tmp_path)
    (tmp_path / "conf.yaml").write_text(
        dump_yaml(CONFIG).replace("steps: 3", "steps: 3, optimizer: {name: adamw}")
    )
    (tmp_path / "grid.yaml").write_text(dump_yaml(GRID))
    return tmp_path


def sweep(place: Path, out: str, trials: int) -> int:
    words = ["sweep", place / "conf.yaml", place / "grid.yaml", "--train", place / "train"]
    words += ["--dev", place / "dev", "--out", place / out, "--trials", trials]
    return main([str(word) for word in words])


def test_a_stopped_search_resumes_exactly(place):
    assert sweep(place, "parts", 1) == 0
    assert sweep(place, "parts", 3) == 0
    assert sweep(place, "whole", 3) == 0
    for name in ("sweep.json", "SWEEP.md", "sweep.png"):
        assert (place / "parts" / name).read_bytes() == (place / "whole" / name).read_bytes()
    trials = json.loads((place / "whole" / "sweep.json").read_text())["trials"]
    assert [trial["trial"] for trial in trials] == [0, 1, 2]
    assert len({json.dumps(trial["options"]) for trial in trials}) == 3
    assert all(trial["error"] > 0 and trial["updates"] == 3 for trial in trials)
    assert all(trial["compute"] == 3 * trial["parameters"] for trial in trials)
    config = (place / "whole" / "trials" / "001" / "config.yaml").read_text()
    assert f"hidden: {trials[1]['options']['task.hidden']}" in config


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("task.hiden: [4, 8]", "task.hiden: no such option of task 'toy'; did you mean 'hidden'"),
        ("training.fases.first.steps: [1, 2]", "no such section"),
        ("task.hidden: {low: 4}", "high: missing"),
        ("task.hidden: {low: 9, high: 4}", "low 9 is not below high 4"),
        ("task.hidden: {low: 0, high: 4, log: true}", "a log range begins above 0"),
        ("task.hidden: 4", "expected choices [a, b] or a range"),
        ("task.hidden: []", "choices are a list of numbers or words"),
        ("task.hidden: [4, many]", "task.hidden: expected int, found 'many'"),
        ("", "empty; name options"),
    ],
)
def test_an_invalid_grid_is_a_one_line_error_before_any_training(place, capsys, grid, words):
    (place / "grid.yaml").write_text(grid)
    assert sweep(place, "out", 1) == 2
    (line,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("voicediff"))
    assert words in line
    assert not (place / "out").exists()


def test_another_grid_needs_another_folder(place, capsys):
    assert sweep(place, "out", 1) == 0
    (place / "grid.yaml").write_text("task.hidden: [4, 8]")
    assert sweep(place, "out", 2) == 2
    assert "was started with another configuration, grid or seed" in capsys.readouterr().err


def test_a_trial_that_cannot_be_trained_is_a_failed_row(place):
    (place / "grid.yaml").write_text("training.phases.first.optimizer.lr: [1.0e+30, 2.0e+30]")
    assert sweep(place, "out", 1) == 0
    (trial,) = json.loads((place / "out" / "sweep.json").read_text())["trials"]
    assert trial["error"] is None
    assert "(failed)" in (place / "out" / "SWEEP.md").read_text()


def test_a_missing_extra_is_named(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(optional, "installed_version", lambda distribution: None)
    assert sweep(place, "out", 1) == 2
    assert "optuna is not installed; pip install 'voicediff[sweep]'" in capsys.readouterr().err
