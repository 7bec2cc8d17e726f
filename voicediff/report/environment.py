"""The environment of a measurement: versions, machine, threads."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

MORE = ("scipy", "soundfile", "matplotlib")  # packages that affect scores but not the model


def environment(versions: Mapping[str, Any]) -> dict[str, Any]:
    """`experiment.versions` and the machine: processor, cores, threads, GPUs."""
    more = {package: importlib.metadata.version(package) for package in MORE}
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        **versions,
        "packages": {**versions["packages"], **more},
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpus or None,
    }


def facts(found: Mapping[str, Any]) -> dict[str, str]:
    """The environment as short texts by name."""
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    gpu = ", ".join(found["gpu"]) if found["gpu"] else "none"
    return {
        "machine": f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads; GPU: {gpu}",
        "system": f"{found['machine']}, Python {found['python']}",
        "packages": packages,
        "git": found["git"] or "unknown",
        "seed": str(found["seed"]),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
