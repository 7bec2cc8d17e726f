"""Imports go down only, and no interchangeable part imports a sibling (docs: the house's floors)."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "voicediff"

# from the ground upwards; a room imports rooms of lower floors only
FLOORS = [
    ["errors", "examples", "layers", "noise", "precision", "pretrained", "synchrony"],
    ["conditions", "config", "devices", "files", "optional", "registry"],
    ["audio", "networks", "sdes", "text"],
    ["decoders", "importing", "losses", "music", "objectives", "predictors", "times", "vocoders"],
    ["data", "metrics", "samplers"],
    ["corpora", "encoders", "gaussian", "report", "steering"],
    ["diffusion"],
    ["distillation"],
    ["tasks"],
    ["editing"],
    ["experiment", "performance", "separation"],
    ["measuring", "training", "vocoding"],
    ["gates"],
    ["bin"],
    ["__main__"],
]
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@lru_cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The modules of voicediff that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they lead"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("voicediff.")}


def parts(path: Path) -> set[str]:
    """The registered parts of a file, by their full names."""
    return {
        f"{module(path)}.{node.name}"
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "register"
    }


def test_every_room_has_its_floor():
    rooms = {room(path) for path in FILES}
    assert rooms == set(FLOOR), "give a new room its floor here and in the description of the house"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_down_only(path):
    rooms = {name.split(".")[1] for name in imported(path)} - {room(path)}
    wrong = {other for other in rooms if FLOOR.get(other, 0) >= FLOOR[room(path)]}
    assert not wrong, f"{module(path)} (floor {FLOOR[room(path)]}) imports {sorted(wrong)}"


@pytest.mark.parametrize("path", [p for p in FILES if parts(p)], ids=module)
def test_no_part_imports_a_sibling_part(path):
    siblings = {part for other in FILES if room(other) == room(path) for part in parts(other)}
    assert not imported(path) & siblings


def test_no_room_is_called_utils():
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}
