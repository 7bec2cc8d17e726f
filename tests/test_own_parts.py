"""The parts that the registry reads from the sources are those registered by importing all modules."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import voicediff
from voicediff import registry
from voicediff.registry import KINDS, entries


@pytest.fixture(scope="module")
def everything():
    for module in pkgutil.walk_packages(voicediff.__path__, "voicediff."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.mark.parametrize("kind", KINDS)
def test_sources_name_every_registered_part_and_its_module(kind, everything):
    found = {
        name: entry.part.__module__
        for name, entry in entries(kind).items()
        if entry.part.__module__.startswith("voicediff.")
    }
    assert registry._own_modules(kind) == found and found
