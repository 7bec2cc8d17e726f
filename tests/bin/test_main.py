"""The program: help, errors in one line, and the commands list and check."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import voicediff
from voicediff.bin import main as program
from voicediff.bin.arguments.renamed import RENAMED
from voicediff.bin.main import command_parsers, main
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
def test_help_of_a_command_lists_its_options(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: voicediff {command}" in capsys.readouterr().out


def test_version_names_torch_and_python_without_importing_torch():
    code = (
        "import sys; from voicediff.bin.main import main\n"
        "try: main(['--version'])\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    torch, python = importlib.metadata.version("torch"), platform.python_version()
    expected = f"voicediff {voicediff.__version__} (torch {torch}, python {python})"
    assert done.stdout == f"{expected}\nFalse\n"


def test_old_names_of_options_are_answered_with_the_new_ones(capsys):
    for command, names in RENAMED.items():
        for old, new in names.items():
            assert main([command, f"{old}=1"]) == 2
            message = capsys.readouterr().err
            assert message == f"voicediff {command}: {old}: this option is called {new} now\n"
            assert new in main_options(command) and old not in main_options(command)


def main_options(command: str) -> set[str]:
    actions = command_parsers()[command][1]._actions
    return {option for action in actions for option in action.option_strings}


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    line = " ".join(map(shlex.quote, words))
    code = f"{script}\nCOMP_WORDS=({line}) COMP_CWORD={len(words) - 1}\n_voicediff\n"
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_options_choices_and_files(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(script, "voicediff", "se") == ["separate"]
    assert completed(script, "voicediff", "sing", "--tr") == ["--transpose"]
    assert completed(script, "voicediff", "sing", "--pronouncer", "r") == ["rules"]
    assert completed(script, "voicediff", "separate", "setup.c") == ["setup.cfg"]
    assert completed(script, "voicediff", "completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_completion_scripts_name_every_option(shell, capsys):
    assert main(["completion", shell]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in command_parsers():
        own = "\n".join(
            line for line in lines if f"from {command}'" in line or f" {command})" in line
        )
        for option in main_options(command):
            name = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1:]} "
            assert (name if shell == "fish" else f"*{option}[") in own
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input="\n".join(lines), text=True)
        assert done.returncode == 0


def test_an_unknown_command_is_refused_with_the_choices(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["trian"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "invalid choice: 'trian'" in message and "train" in message


@pytest.mark.parametrize(
    "error, status, message",
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
def test_mistakes_of_the_user_are_one_line(monkeypatch, capsys, error, status, message):
    def run(args) -> None:
        raise error

    command = SimpleNamespace(run=run, add_arguments=lambda parser: None, __doc__="")
    monkeypatch.setattr(program.importlib, "import_module", lambda name: command)
    assert main(["list"]) == status
    assert capsys.readouterr().err == message


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


def test_every_kind_has_a_package():
    assert all(package.startswith("voicediff.") for package in KINDS.values())
