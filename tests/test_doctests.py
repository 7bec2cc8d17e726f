"""The examples in the docstrings of voicediff run and print what they state."""

import doctest
import importlib
from pathlib import Path

import pytest

import voicediff

PACKAGE = Path(voicediff.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if "\n    >>> " in path.read_text(encoding="utf-8")
)


def test_the_core_modules_have_examples():
    expected = (
        "diffusion.model",
        "diffusion.sdes",
        "diffusion.samplers.heun",
        "networks.conditions",
    )
    assert {f"voicediff.{name}" for name in expected} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0
