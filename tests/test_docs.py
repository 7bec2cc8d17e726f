"""The documentation says what is there: links, commands, configurations, the API reference."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
from functools import lru_cache
from pathlib import Path

import pytest

from voicediff.config import parse_yaml
from voicediff.experiment import Config
from voicediff.registry import KINDS, Spec, build, read_options
from voicediff.training.options import Training

ROOT = Path(__file__).parents[1]
SKIPPED = {"exp", "data", "dump", "downloads", "venv", "venvs", ".git", ".pytest_cache", "build"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts[:-1])
)
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`(voicediff [^`]+)`")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@lru_cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def fenced(path: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(text(path)) if language in languages]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text(path)), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page):
    for pair in LINK.findall(FENCE.sub("", text(page))):
        link = pair[0] or pair[1]
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name(page)}: {link}"


# -- commands -----------------------------------------------------------------------------------


def commands(page: Path) -> list[list[str]]:
    """The words of every call of `voicediff` that a page shows, in blocks or in a line."""
    lines = [
        line
        for body in fenced(page, "bash", "", "sh")
        for line in body.replace("\\\n", " ").splitlines()
    ]
    found = [m.group(1) for m in INLINE.finditer(FENCE.sub("", text(page)))]
    found += [line for line in lines if re.match(r"(\S+=\S+ )*voicediff ", line)]
    return [_words(command) for command in found]


def _words(command: str) -> list[str]:
    words = shlex.split(command.split(" | ")[0].split(" > ")[0], comments=True)
    return words[words.index("voicediff") + 1 :]


@lru_cache
def options(command: str) -> set[str]:
    """The options of a sub-command's parser."""
    module = importlib.import_module(f"voicediff.bin.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=name)
def test_commands_exist_with_their_options(page):
    known = {p.stem.replace("_", "-") for p in (ROOT / "voicediff/bin").glob("[a-z]*.py")} - {
        "main"
    }
    for command in commands(page):
        if command[0] in ("COMMAND", "--help", "--version") or command[0].endswith(
            ":"
        ):  # a message
            continue
        assert command[0] in known, f"{name(page)}: voicediff {command[0]}"
        used = {re.split(r"[=\]\[]", word)[0] for word in command[1:] if word.startswith("-")}
        used -= {""} | {word for word in used if re.fullmatch(r"-\d+", word)}
        assert used <= options(command[0]), f"{name(page)}: voicediff {' '.join(command)}"


def recipe_options(run: Path) -> set[str]:
    return set(re.findall(r"^ +(--[a-z0-9-]+)", text(run), re.M)) | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_recipe_options_exist(page):
    """Options of run.sh: of the recipe that the line names, else of the page's own or any recipe."""
    runs = sorted(ROOT.glob("egs/*/*/run.sh"))
    for body in fenced(page, "bash"):
        for line in body.replace("\\\n", " ").splitlines():
            if "run.sh" not in line or line.lstrip().startswith("#"):
                continue
            words = shlex.split(line, comments=True)
            named = [run for run in runs if name(run.parent) in line or run.parent == page.parent]
            allowed = set().union(*map(recipe_options, named or runs))
            used = {word.split("=")[0] for word in words if word.startswith("--")}
            assert used <= allowed, f"{name(page)}: {line}"


# -- configurations -----------------------------------------------------------------------------


def sections() -> list[tuple[str, str]]:
    return [(name(page), body) for page in PAGES for body in fenced(page, "yaml", "yml")]


@pytest.mark.parametrize(("page", "body"), sections(), ids=lambda value: str(value)[:24])
def test_yaml_is_valid_and_what_is_whole_builds(page, body):
    content = parse_yaml(body, page)
    if not isinstance(content, dict) or "import" in content:
        return
    task = content.get("task", {})
    if "name" in task:
        Config(task=Spec(task, "task")).build_task()
    else:  # parts of a task, shown by themselves
        content = content | task
    if "phases" in content.get("training", {}):
        read_options(Training, content["training"], "training")
    for kind in {"sde", "objective", "sampler", "times"} & set(content) & set(KINDS):
        build(kind, Spec(content[kind], kind))


# -- the site -----------------------------------------------------------------------------------


def script(path: str):
    """A module of docs/, by its path there."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / "docs" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_navigation_holds_every_page_once():
    groups = script("_extensions/navigation.py").groups(text(ROOT / "docs/README.md"))
    listed = [page for pages in groups.values() for page in pages if not page.startswith("api/")]
    docs = ROOT / "docs"
    pages = {p.relative_to(docs) for p in (*docs.glob("*.md"), *docs.glob("notebooks/*.ipynb"))}
    assert sorted(listed) == sorted(str(p.with_suffix("")) for p in pages if p.name != "README.md")


def test_architecture_names_every_package_and_its_picture_is_current():
    make = script("figures/make_architecture.py")
    page = text(ROOT / "docs/architecture.md")
    assert [name for layer in make.layers() for name in layer if f"`{name}`" not in page] == []
    assert make.picture() == text(make.FIGURE), "run `python docs/figures/make_architecture.py`"
