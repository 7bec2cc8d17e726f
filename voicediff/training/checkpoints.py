"""Checkpoints, from which training resumes: `checkpoints/step_00000500/`, written atomically.

weights.safetensors   raw and averaged weights, also linked as ../../last.safetensors
optimizers.pt         states of the phase's optimizers by optimisation target
state.json            progress of the training
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from voicediff.errors import DataError
from voicediff.experiment import fit_weights, read_weights, write_weights
from voicediff.files import replacing, whole_file, whole_folder, write_json
from voicediff.tasks.base import Task
from voicediff.training.targets import OptimizationTarget


@dataclass
class State:
    """Progress after `step` updates in total, `phase_step` of them in the current phase."""

    phase: int = 0
    phase_step: int = 0
    step: int = 0
    best: float | None = None
    best_step: int | None = None
    meter: dict[str, list[float]] = field(default_factory=dict)
    loggers: dict[str, dict[str, Any]] = field(default_factory=dict)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint of an experiment folder."""
    found = _all(folder)
    return found[-1] if found else None


def read_state(checkpoint: Path) -> State:
    try:
        return State(**json.loads((checkpoint / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{checkpoint / 'state.json'}: damaged ({error})") from error


def save(
    folder: Path,
    state: State,
    task: Task,
    average: Task,
    targets: list[OptimizationTarget],
    keep: int,
):
    """Write a checkpoint, link its weights as `last` (and `best`), remove old checkpoints."""
    checkpoint = folder / "checkpoints" / f"step_{state.step:08d}"
    with whole_folder(checkpoint) as part:
        write_weights(
            part / "weights.safetensors",
            task.state_dict(),
            average.state_dict(),
            state.step,
            folder / "assets",
        )
        with replacing(part / "optimizers.pt") as file:
            file.write(_pickled({target.name: target.optimizer.state_dict() for target in targets}))
        write_json(part / "state.json", asdict(state))
    publish(folder, checkpoint, state)
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old.rename(old.with_name(f".{old.name}")))


def restore(checkpoint: Path, task: Task, average: Task, targets: list[OptimizationTarget]) -> None:
    """Load weights and optimizer states; `targets` are those of the checkpoint's phase."""
    weights = checkpoint / "weights.safetensors"
    for module, which in ((task, "raw"), (average, "ema")):
        fit_weights(module, read_weights(weights, which)[0], str(weights))
    path = checkpoint / "optimizers.pt"
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for target in targets:
            target.optimizer.load_state_dict(saved[target.name])
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: damaged ({reason}); remove {checkpoint}") from error
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: does not fit the optimizers of the configuration ({error})"
        ) from error


def publish(folder: Path, checkpoint: Path, state: State) -> None:
    """Link the checkpoint's weights as `last`, and as `best` if its metric is the best so far."""
    names = ["last"] + ["best"] * (state.best_step == state.step)
    for name in names:
        with whole_file(folder / f"{name}.safetensors") as part:
            _link(checkpoint / "weights.safetensors", part)


def clean(folder: Path) -> None:
    """Remove incomplete files and folders of a killed process."""
    for path in (folder / "checkpoints").glob(".*"):
        shutil.rmtree(path)
    for path in folder.glob(".*.part*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)


def _all(folder: Path) -> list[Path]:
    found = (folder / "checkpoints").glob("step_*")
    return sorted(path for path in found if path.name.removeprefix("step_").isdigit())


def _pickled(content: Any) -> bytes:
    """Serialised in memory: when writing to a full disk torch raises a RuntimeError without a reason."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
