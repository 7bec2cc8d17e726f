"""What is installed: the lock, the extras, the wheel, the workflows and the licences agree."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools import licences
from voicediff.optional import PACKAGES

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "tools" / "constraints.txt"
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))


def lock() -> list[Requirement]:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def named(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_lock_has_one_exact_version_for_each_direct_requirement_and_python():
    for extra, wanted in licences.requirements().items():
        for requirement in wanted:
            for python in ("3.10", "3.11", "3.12", "3.13", "3.14"):
                where = {"python_version": python, "python_full_version": python + ".1"}
                if requirement.marker and not requirement.marker.evaluate(where):
                    continue
                pins = [
                    pin
                    for pin in lock()
                    if named(pin) == named(requirement)
                    and (not pin.marker or pin.marker.evaluate(where))
                ]
                assert len(pins) == 1, f"[{extra}] {requirement}, Python {python}: {pins}"
                version = next(iter(pins[0].specifier)).version
                assert requirement.specifier.contains(version, prereleases=True), str(requirement)


def test_lock_names_no_index_and_no_local_path():
    assert not re.search(r"://|^-|file:|@|[+]", LOCK.read_text(encoding="utf-8"), re.M)


def test_upper_bounds_have_a_reason():
    lines = (ROOT / "setup.cfg").read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"^    [\w-]+.*<", line) and "python_version" not in line:
            assert before.strip().startswith("#"), f"setup.cfg: {line.strip()} has no reason"


def test_all_holds_every_extra_that_needs_no_compiler():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    held = set(re.search(r"voicediff\[([^\]]+)\]", text)[1].split(","))
    assert set(licences.requirements()) - held == {licences.DEFAULT, "pesq", "bigvgan", "vocos"}


def test_packages_name_the_extra_that_installs_them():
    extras = {
        named(requirement): extra
        for extra, wanted in licences.requirements().items()
        for requirement in wanted
    }
    for name, package in PACKAGES.items():
        expected = package.extra or licences.DEFAULT
        assert extras[package.distribution] == expected, name


def test_default_installation_holds_no_gpl_and_the_page_names_what_does():
    page = licences.PAGE.read_text(encoding="utf-8")
    for extra, names in licences.by_extra().items():
        gpl = {name for name in names if licences.is_gpl(licences.licence(name))}
        assert extra != licences.DEFAULT or not gpl
        for name in gpl | {named(r) for r in licences.requirements()[extra]} & names:
            assert f"| {name} |" in page, f"{name} is missing in docs/licences.md; write it again"


def test_gpl_is_told_from_lgpl():
    assert licences.is_gpl("GPL-3") and licences.is_gpl("AGPL-3.0-only")
    assert licences.is_gpl("MIT; its wheels hold espeak-ng (GPL-3)")
    assert not licences.is_gpl("LGPL-2.1-or-later") and not licences.is_gpl("MIT")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_the_form_of_workflows(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name == "dependabot.yml":
        assert content["version"] == 2 and all("schedule" in u for u in content["updates"])
        assert all((ROOT / u["directory"].strip("/")).is_dir() for u in content["updates"])
        return
    assert content["name"] and content["jobs"] and (content.get("on") or content.get(True))
    for job in content["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            for script in re.findall(r"\btools/[\w.]+", step.get("run", "")):
                assert (ROOT / script).exists(), script


@pytest.fixture(scope="module")
def inference_only(tmp_path_factory) -> Path:
    """A fresh environment: the built wheel, and of the packages only those that inference needs."""
    place = tmp_path_factory.mktemp("inference")
    source = place / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "voicediff", source / "voicediff", ignore=ignore)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", place, source]
    subprocess.run([*pip, *wheel], check=True)
    venv.create(place / "venv", with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(place / "venv"), "platbase": str(place / "venv")})
    site = Path(paths["purelib"])
    for name in licences.closure(licences.requirements()[licences.DEFAULT]):
        _link(name, site)
    [built] = place.glob("*.whl")
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", site, built], check=True)
    return place / "venv"


def _link(name: str, site: Path) -> None:
    """Put the files of an installed distribution into another environment (hard links)."""
    for file in importlib.metadata.files(name) or []:
        source, target = Path(file.locate()), site / file
        if ".." in file.parts or not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another disk
            shutil.copy(source, target)


def test_wheel_sings_where_only_the_packages_of_inference_are(inference_only, tmp_path):
    scripts = inference_only / ("Scripts" if os.name == "nt" else "bin")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    song = tmp_path / "song.wav"
    command = [scripts / "python", "-m", "voicediff", "sing", "--example", "-o", song]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert song.stat().st_size > 100_000
    missing = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    needed = licences.closure(licences.requirements()[licences.DEFAULT])
    extras = [name for name, package in PACKAGES.items() if package.distribution not in needed]
    assert "accelerate" in extras
    subprocess.run([scripts / "python", "-c", missing, *extras], check=True, cwd=tmp_path)
