"""docs/adding_a_part.md, word for word: its files are written and its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/adding_a_part.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """The page's commands, run one after another in a copy of the recipe."""
    room = tmp_path_factory.mktemp("part")
    recipe = room / "egs/csd/svs"
    recipe.mkdir(parents=True)
    for name in ("run.sh", "path.sh", "cmd.sh", "db.sh", "conf", "local"):
        subprocess.run(["cp", "-r", ROOT / "egs/csd/svs" / name, recipe / name], check=True)
    (room / "tools").mkdir()
    for name in ("setup.sh", "recipe.sh"):
        subprocess.run(["cp", ROOT / "tools" / name, room / "tools" / name], check=True)
    (room / "my_lab").mkdir()
    (room / "my_lab/frame_conv.py").write_text(blocks("python")[0], encoding="utf-8")
    environment = os.environ | {
        "HOME": str(room),
        "VOICEDIFF_PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }
    script = "set -e\n" + "".join(blocks("bash"))
    words = ["bash", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, cwd=recipe, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done, recipe / "exp/train_conv"


@pytest.mark.recipe
def test_the_part_is_listed_checked_and_trained(done):
    said, exp = done[0].stdout, done[1]
    assert "width: int = 64" in said
    assert "my_lab/train_conv.yaml: ok" in said
    assert "exp/train_conv/config.yaml: ok" in said
    assert (exp / "last.safetensors").is_file()


@pytest.mark.recipe
def test_the_experiment_keeps_the_part_and_loads_without_the_original(done):
    exp = done[1]
    kept = (exp / "parts/frame_conv.py").read_text(encoding="utf-8")
    assert kept == blocks("python")[0]
    (exp.parents[4] / "my_lab/frame_conv.py").unlink()
    code = "import sys; from voicediff.experiment import load; print(type(load(sys.argv[1]).task.diffusion.decoder))"
    words = [sys.executable, "-c", code, exp]
    loaded = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert "frame_conv.FrameConv" in loaded.stdout, loaded.stderr


@pytest.mark.recipe
def test_the_mistake_of_the_page_is_said_in_these_words(done):
    config = done[1] / "config.yaml"
    words = [
        sys.executable,
        "-m",
        "voicediff",
        "check",
        config,
        "--train-args",
        "task.decoder.widht=3",
    ]
    refused = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert refused.returncode == 2
    assert refused.stderr == f"voicediff check: {blocks('text')[0]}"
