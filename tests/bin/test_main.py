"""The program: help, errors in one line, and the commands list and check."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from voicediff.bin import main as program
from voicediff.bin.main import main
from voicediff.errors import ConfigError, DataError, TrainingError
from voicediff.registry import KINDS

ROOT = Path(__file__).parents[2]


def test_help_names_every_command_and_imports_no_torch():
    code = (
        "import sys; from voicediff.bin.main import main\n"
        "try: main(['--help'])\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    for command in ("list", "check", "train"):
        assert f"\n    {command} " in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("command", ["list", "check", "train"])
def test_help_of_a_command_tells_its_options(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: voicediff {command}" in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_the_choices(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["trian"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "invalid choice: 'trian'" in said and "train" in said


@pytest.mark.parametrize(
    "error, status, said",
    [
        (ConfigError("here: wrong"), 2, "voicediff list: here: wrong\n"),
        (DataError("two\nlines"), 2, "voicediff list: two lines\n"),
        (TrainingError("nan"), 2, "voicediff list: nan\n"),
        (
            OSError(28, os.strerror(28), "a.wav"),
            2,
            "voicediff list: a.wav: No space left on device\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_is_the_users_to_mend_is_one_line(monkeypatch, capsys, error, status, said):
    def run(args) -> None:
        raise error

    command = SimpleNamespace(run=run, add_arguments=lambda parser: None, __doc__="")
    monkeypatch.setattr(program.importlib, "import_module", lambda name: command)
    assert main(["list"]) == status
    assert capsys.readouterr().err == said


def test_a_defect_of_the_program_keeps_its_traceback(monkeypatch):
    def run(args) -> None:
        raise ZeroDivisionError

    command = SimpleNamespace(run=run, add_arguments=lambda parser: None, __doc__="")
    monkeypatch.setattr(program.importlib, "import_module", lambda name: command)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_list_shows_parts_with_a_line_each(capsys):
    assert main(["list", "optimizer"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "optimizer:"
    assert [line.split()[0] for line in lines[1:]] == ["adam", "adamw", "muon", "sgd"]


def test_list_shows_the_options_of_a_part(capsys):
    assert main(["list", "schedule", "cosine"]) == 0
    text = capsys.readouterr().out
    assert "  warmup: int = 0\n  end: float = 0.0\n" in text
    assert "Loshchilov" in text


def test_list_refuses_an_unknown_kind_and_name(capsys):
    assert main(["list", "shedule"]) == 2
    assert "did you mean 'schedule'?" in capsys.readouterr().err
    assert main(["list", "schedule", "cosin"]) == 2
    assert "no schedule 'cosin'; did you mean 'cosine'?" in capsys.readouterr().err


def test_list_shows_a_users_parts(capsys):
    file = str(ROOT / "tests/training/toy_parts.py")
    assert main(["list", "task", "toy", "--import", file]) == 0
    assert "hidden: int = 8" in capsys.readouterr().out


def test_check_builds_everything_and_counts(tmp_path, capsys):
    shutil.copy(ROOT / "tests/training/toy_parts.py", tmp_path)
    conf = tmp_path / "conf.yaml"
    text = (
        "import: [toy_parts.py]\ntask: {name: toy, hidden: 5}\nsampler: {name: heun}\n"
        "training:\n  phases: [{name: a, targets: [restore], steps: 3}]\n"
    )
    conf.write_text(text)
    assert main(["check", str(conf)]) == 0
    words = capsys.readouterr().out.split()
    assert words[words.index("net.0") + 1] == str(4 * 5 + 5)
    assert words[words.index("all") + 1] == str(4 + 4 * 5 + 5 + 5 * 4 + 4 + 5)
    conf.write_text(text.replace("heun", "huen"))
    assert main(["check", str(conf)]) == 2
    assert "sampler.name: no sampler 'huen'; did you mean 'heun'?" in capsys.readouterr().err
    conf.write_text(text + "loggers: [{name: wandb, mode: onlin}]\n")
    assert main(["check", str(conf)]) == 2
    assert "loggers[1].mode: no choice 'onlin'; did you mean 'online'?" in capsys.readouterr().err


def test_every_kind_has_a_room():
    assert all(room.startswith("voicediff.") for room in KINDS.values())
