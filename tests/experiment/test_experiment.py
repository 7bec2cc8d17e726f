"""The experiment folder: what is written is read back, and what does not fit is named."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from voicediff import experiment
from voicediff.config import parse_yaml
from voicediff.errors import ConfigError, DataError

PARTS = Path(__file__).parents[1] / "training/toy_parts.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment with raw weights of ones and averaged weights of twos."""
    source = tmp_path / "source"
    (source / "assets").mkdir(parents=True)
    (source / "assets/tokens.txt").write_text("a b c")
    shutil.copy(PARTS, source)
    conf = source / "conf.yaml"
    conf.write_text("import: [toy_parts.py]\ntask: {name: toy, hidden: 5}\nsampler: {name: heun}\n")
    config = experiment.read_config(conf)
    task = config.build_task(source / "assets")
    folder = tmp_path / "exp"
    experiment.create(folder, config, source / "assets")
    raw = {name: torch.ones_like(tensor) for name, tensor in task.state_dict().items()}
    ema = {name: 2 * tensor for name, tensor in raw.items()}
    experiment.write_weights(folder / "last.safetensors", raw, ema, 7, folder / "assets")
    shutil.rmtree(source)
    return folder


def test_an_experiment_is_read_back_without_its_sources(folder):
    loaded = experiment.load(folder)
    assert loaded.step == 7 and loaded.sampler == {"name": "heun"}
    assert not loaded.task.training
    assert all((tensor == 2).all() for tensor in loaded.task.state_dict().values())
    raw = experiment.load(folder, ema=False).task.state_dict()
    assert all((tensor == 1).all() for tensor in raw.values())


def test_the_best_weights_are_preferred_to_the_last(folder):
    weights, about = experiment.read_weights(folder / "last.safetensors", "raw")
    assets = folder / "assets"
    experiment.write_weights(folder / "best.safetensors", weights, weights, 3, assets)
    assert experiment.load(folder).step == 3
    assert experiment.load(folder, weights="last").step == about["step"] == 7


def test_the_configuration_is_stored_with_its_defaults(folder):
    kept = parse_yaml((folder / "config.yaml").read_text())
    assert kept["task"] == {"name": "toy", "hidden": 5, "dropout": 0.0}
    assert kept["import"] == ["parts/toy_parts.py"]
    assert kept["seed"] == 1234


def test_versions_are_stored(folder):
    found = json.loads((folder / "versions.json").read_text())
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert found["seed"] == 1234
    assert found["python"] == platform.python_version()


def test_loading_needs_no_trainer(folder):
    code = (
        "import sys; from voicediff.experiment import load; load(sys.argv[1]);"
        "print([m for m in sys.modules if m.startswith(('voicediff.training', 'accelerate'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]", done.stderr


def complaint(folder: Path) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        experiment.load(folder)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_missing_file_is_named(folder):
    (folder / "assets/tokens.txt").rename(folder / "elsewhere")
    assert complaint(folder).startswith(f"{folder / 'assets/tokens.txt'}: missing")
    (folder / "elsewhere").rename(folder / "assets/tokens.txt")
    (folder / "parts/toy_parts.py").unlink()
    sys.modules.pop("toy_parts", None)
    assert complaint(folder) == f"import: no file {folder / 'parts/toy_parts.py'}"
    (folder / "last.safetensors").unlink()
    assert complaint(folder).startswith(f"{folder}: has no weights")
    (folder / "config.yaml").unlink()
    assert complaint(folder) == f"{folder}: not an experiment folder (config.yaml is missing)"


@pytest.mark.parametrize("size", [0, 5, 200, -10])
def test_a_truncated_weights_file_is_damaged(folder, size):
    path = folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert complaint(folder).startswith(f"{path}: damaged (")


def test_a_different_vocabulary_is_named(folder):
    (folder / "assets/tokens.txt").write_text("a b d")
    assert complaint(folder) == (
        f"{folder / 'assets/tokens.txt'}: differs from the one last.safetensors was trained with; "
        "put the original back"
    )


def test_weights_of_another_size_are_named(folder):
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("hidden: 5", "hidden: 6"))
    message = complaint(folder)
    assert message.startswith(f"{folder / 'last.safetensors'}: does not fit its configuration: ")
    assert "net.0.weight is (5, 4), the model has (6, 4)" in message
