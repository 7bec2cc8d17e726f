"""Which third-party packages each command imports."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voicediff import optional
from voicediff.audio import write_wav
from voicediff.errors import ConfigError
from voicediff.music import Note, Score, write_midi
from voicediff.optional import PACKAGES, import_failure, require

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("imports_of_commands.py")
COMMANDS = sorted(
    path.stem.replace("_", "-")
    for path in (ROOT / "voicediff" / "bin").glob("[a-z]*.py")
    if path.stem != "main"
)
TORCH = {"torch", "numpy", "tqdm"}  # `import torch` imports the other two
TASKS = TORCH | {"einops", "safetensors", "soundfile", "soxr", "yaml"}
SINGING = TASKS | {"mido"}
SEPARATING = SINGING | {"av", "cv2", "scipy"}
USED = {
    "lint": {"mido", "numpy", "yaml"},
    "list": TORCH,
    "check": SINGING | {"accelerate", "filelock"},
    "sing": SINGING,
    "vocode": SINGING - {"einops"},
    "separate": SEPARATING,
}
HELP = {"lint": {"mido", "numpy", "yaml"}}  # the help of all others imports nothing
TRAIN = ["train", "--config", "a.yaml", "--train", "a", "--dev", "a", "--exp", "a"]
SING = ["sing", "song.mid", "-o", "song.wav"]
SCORE = ["score", "--decoded", "a", "--data", "a", "--dump", "a"]
REPORT = ["report", "--model", "a", "--data", "a"]
SEPARATE = ["separate", "a.mp4", "--model", "a", "-o", "a"]
NEEDED = {  # package: a command that needs it, and whether torch is imported before
    "numpy": (["lint", "song.mid"], False),
    "mido": (["lint", "song.mid"], False),
    "yaml": (["lint", "song.mid"], False),
    "torch": (SING, False),
    "soundfile": (SING, True),
    "soxr": (SING, True),
    "safetensors": (SING, True),
    "einops": (SEPARATE, True),
    "scipy": (SEPARATE, True),
    "av": (SEPARATE, True),
    "cv2": (SEPARATE, True),
    "tqdm": (SING, True),
    "accelerate": (TRAIN, True),
    "filelock": (TRAIN, True),
    "joblib": (SCORE, True),
    "jinja2": (SCORE, True),
    "matplotlib": (REPORT, True),
    "PIL": (REPORT, True),
}

BROKEN = ("numpy", "torch", "soundfile", "cv2", "accelerate", "matplotlib")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of the commands of all tests, from one process that imports torch once."""
    folder = tmp_path_factory.mktemp("imports")
    entries = {**parsing(), **obstacles(torch=False), **runs(folder), **obstacles(torch=True)}
    done = subprocess.run(
        [sys.executable, SCRIPT, json.dumps(list(entries.values()))],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(entries, json.loads(done.stdout), strict=True))


def parsing() -> dict[str, dict]:
    helps = {f"{command} --help": {"command": [command, "--help"]} for command in COMMANDS}
    wrong = {f"{command} --wrong": {"command": [command, "--no-such"]} for command in COMMANDS}
    return {**helps, **wrong}


def runs(folder: Path) -> dict[str, dict]:
    """Each command of USED on a tiny input; of separating, what it imports to begin with."""
    write_midi(
        Score((Note(0.2, 0.5, 60, "나"), Note(0.5, 0.8, 62, "비")), 1.0), folder / "song.mid"
    )
    write_wav(folder / "a.wav", 0.1 * np.sin(np.arange(8000) / 20).astype(np.float32), 22050)
    song, out = str(folder / "song.mid"), str(folder / "out.wav")
    smoke = str(ROOT / "egs/csd/svs/conf/train_smoke.yaml")
    commands = {
        "list": ["list", "sampler"],
        "check": ["check", smoke],
        "sing": ["sing", song, "-o", out, "--steps", "1", "--device", "cpu"],
        "vocode": ["vocode", str(folder / "a.wav"), "--vocoder", "griffin_lim", "-o", out],
    }
    separating = ["voicediff.bin.separate", "voicediff.tasks.avss.model"]
    return {
        "lint": {"command": ["lint", song]},
        **{name: {"prelude": "torch", "command": words} for name, words in commands.items()},
        "separate": {"prelude": "torch", "modules": separating},
    }


def obstacles(torch: bool) -> dict[str, dict]:
    return {
        f"{package} {how}": {
            "prelude": "torch" if torch else "",
            how: package,
            "command": command,
        }
        for package, (command, after_torch) in NEEDED.items()
        if after_torch == torch
        for how in ("missing", "broken")[: 1 + (package in BROKEN)]
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_wrong_arguments_import_no_package(command, results):
    for arguments, status in (("--help", 0), ("--wrong", 2)):
        found = results[f"{command} {arguments}"]
        assert found["status"] == status, found["stderr"]
        assert set(found["packages"]) == HELP.get(command, set())


@pytest.mark.parametrize("command", USED)
def test_a_command_imports_the_packages_it_uses_and_no_other(command, results):
    assert results[command]["status"] == 0, results[command]["stderr"]
    assert set(results[command]["packages"]) == USED[command]


@pytest.mark.parametrize("package", NEEDED)
def test_a_missing_package_is_one_line_with_the_command_that_installs_it(package, results):
    found = results[f"{package} missing"]
    entry = PACKAGES[package]
    cure = f"'voicediff[{entry.extra}]'" if entry.extra else entry.distribution
    expected = f"package {package} is not installed; pip install {cure}\n"
    assert found["stderr"] == f"voicediff {NEEDED[package][0][0]}: {expected}"
    assert found["status"] == 2


@pytest.mark.parametrize("package", BROKEN)
def test_a_package_that_cannot_be_loaded_is_one_line_with_its_version(package, results):
    found = results[f"{package} broken"]
    distribution = PACKAGES[package].distribution
    version = importlib.metadata.version(distribution)
    assert found["stderr"].startswith(
        f"voicediff {NEEDED[package][0][0]}: package {package} {version} cannot be loaded "
        f"(libexample.so.1: undefined symbol); pip install --upgrade --force-reinstall {distribution}"
    )
    assert found["stderr"].count("\n") == 1 and found["status"] == 2


@pytest.mark.parametrize("package", PACKAGES)
def test_require_names_package_and_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(optional, "installed_version", lambda distribution: None)
    with pytest.raises(ConfigError, match=rf"^testing: package {package} is not installed; pip "):
        require(package, purpose="testing")


def test_an_error_of_our_own_module_is_not_blamed_on_a_package():
    try:
        exec("from voicediff.audio import no_such_name", {"__name__": "voicediff.audio.wav"})
    except ImportError as error:
        assert import_failure(error) is None
    try:
        exec("raise OSError('broken')", {"__name__": "voicediff.audio.wav"})
    except OSError as error:
        assert import_failure(error) is None


def test_every_import_of_the_package_is_in_the_table():
    found = set()
    for path in (ROOT / "voicediff").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    others = found - set(sys.stdlib_module_names) - {"voicediff", "distributed"}
    assert others <= set(PACKAGES)  # `distributed` is the user's own, see --dask-scheduler
