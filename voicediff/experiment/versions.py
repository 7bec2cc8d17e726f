"""Versions of an experiment: packages, Python, git hash, seed."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("voicediff", "torch", "numpy", "accelerate", "safetensors")


def versions(seed: int) -> dict[str, Any]:
    """Versions of the packages and of Python, git hash, seed and platform."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": found,
        "git": _git_hash(),
        "seed": seed,
        "machine": platform.platform(),
    }


def _git_hash() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
