"""The experiment folder: everything that inference needs.

config.yaml           the configuration with all defaults
parts/                the user's modules that it imports
assets/               token list, statistics, feature settings
versions.json         versions of the packages, git hash, seed
best.safetensors      weights (raw and averaged) with the best metric of samples
last.safetensors      weights of the newest checkpoint
checkpoints/, logs    for the trainer
report/               results of `voicediff report`; recommended.yaml is the sampler to use
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import torch as safetensors_torch

from voicediff.config import read_yaml
from voicediff.devices import chosen
from voicediff.errors import DataError
from voicediff.experiment.config import Config, read_config, write_config
from voicediff.experiment.versions import versions
from voicediff.experiment.weights import (
    check_assets,
    fit_weights,
    read_weights,
    weights_path,
)
from voicediff.files import write_json
from voicediff.registry import Spec
from voicediff.tasks.base import Task

RECOMMENDED = "report/recommended.yaml"


@dataclass
class Experiment:
    """A trained model: the task in eval mode, its configuration and its folder.

    sampler: the one recommended by `voicediff report` (`recommended` is its file), else that of the
        configuration.
    """

    task: Task
    config: Config
    sampler: Spec | None
    folder: Path
    step: int
    recommended: Path | None = None


def load(
    folder: str | Path, ema: bool = True, device: str | None = "cpu", weights: str = ""
) -> Experiment:
    """The model of an experiment folder, ready for inference.

    Args:
        ema: load the averaged weights, else the raw ones.
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None uses a CUDA GPU if there is one.
        weights: `best` or `last`; by default `best` if it exists.

    Raises DataError if a file is missing, damaged or does not fit the others, ConfigError for a
    device that does not exist.
    """
    folder, place = Path(folder), chosen(device)
    config = folder / "config.yaml"
    if not config.is_file():
        raise DataError(f"{folder}: not an experiment folder (config.yaml is missing)")
    path = weights_path(folder, weights)
    tensors, about = read_weights(path, "ema" if ema else "raw")
    assets = folder / "assets"
    check_assets(assets, about["assets"], path)
    config = read_config(config)
    with torch.random.fork_rng(devices=[]):  # keep the caller's random state
        task = config.build_task(assets if assets.is_dir() else None)
    fit_weights(task, tensors, str(path))
    sampler, recommended = config.sampler, folder / RECOMMENDED
    if recommended.is_file():
        sampler = Spec(read_yaml(recommended), str(recommended))
    else:
        recommended = None
    return Experiment(task.to(place).eval(), config, sampler, folder, about["step"], recommended)


def create(folder: Path, config: Config, assets: Path | None) -> None:
    """Create an experiment folder; config.yaml is written last and marks it as complete."""
    folder.mkdir(parents=True, exist_ok=True)
    if assets is not None:
        _copy_folder(assets, folder / "assets")
    write_json(folder / "versions.json", versions(config.seed))
    write_config(folder, config)


def pack(folder: Path, target: Path) -> None:
    """Copy what inference needs of an experiment to the folder `target`; averaged weights as float16."""
    path = weights_path(folder)
    tensors, about = read_weights(path, "ema")
    half = {f"ema/{n}": t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    kept = {"step": str(about["step"]), "assets": json.dumps(about["assets"])}
    (target / path.name).write_bytes(safetensors_torch.save(half, kept))
    for name in ("config.yaml", "versions.json", RECOMMENDED):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    for name in ("assets", "parts"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, target / name)


def _copy_folder(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise DataError(f"{source}: no such folder of assets")
    if source.resolve() == target.resolve():
        return
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
