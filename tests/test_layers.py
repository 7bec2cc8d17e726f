"""Imports go down only, and no interchangeable part imports a sibling (docs/architecture.md)."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "voicediff"

# from the bottom upwards; a package imports packages of lower layers only
LAYERS = [
    ["errors", "examples", "pretrained"],
    ["config", "devices", "files", "networks", "optional", "registry"],
    ["audio", "decoders", "diffusion", "predictors", "text"],
    ["importing", "music", "video", "vocoders"],
    ["data", "metrics"],
    ["corpora", "encoders", "report"],
    ["tasks"],
    ["experiment"],
    ["inference", "training"],
    ["diagnostics", "evaluation"],
    ["bin"],
    ["__main__"],
]
LAYER = {package: number for number, layer in enumerate(LAYERS) for package in layer}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@lru_cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def package(path: Path) -> str:
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


def test_every_package_has_its_layer():
    packages = {package(path) for path in FILES}
    assert packages == set(LAYER), "give a new package its layer here and in docs/architecture.md"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_down_only(path):
    others = {name.split(".")[1] for name in imported(path)} - {package(path)}
    wrong = {other for other in others if LAYER.get(other, 0) >= LAYER[package(path)]}
    assert not wrong, f"{module(path)} (layer {LAYER[package(path)]}) imports {sorted(wrong)}"


@pytest.mark.parametrize("path", [p for p in FILES if parts(p)], ids=module)
def test_no_part_imports_a_sibling_part(path):
    siblings = {part for other in FILES if package(other) == package(path) for part in parts(other)}
    assert not imported(path) & siblings


def test_no_module_is_called_utils():
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}
