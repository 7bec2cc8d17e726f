"""Every configuration of every recipe builds, whatever its size."""

from pathlib import Path

import pytest

from voicediff.bin.main import main
from voicediff.config import read_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("egs/*/*/conf/*.yaml"))


def test_there_are_configurations():
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_builds(path, capsys):
    assert main(["check", str(path)]) == 0
    assert ": ok" in capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_says_for_whom_it_is(path):
    assert path.read_text(encoding="utf-8").startswith("# ")
    found = read_yaml(path)
    wanted = {"task", "training"} | ({"sampler"} if "sde" in found["task"] else set())
    assert wanted <= set(found)
