"""Start of a training: configuration, experiment folder, initial weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from filelock import FileLock, Timeout

from voicediff import experiment
from voicediff.encoders.pretrained import load_pretrained
from voicediff.errors import ConfigError, DataError, TrainingError
from voicediff.experiment import Config
from voicediff.registry import Spec, build
from voicediff.tasks.base import Task
from voicediff.training import checkpoints
from voicediff.training.budget import fit
from voicediff.training.loggers import Logger
from voicediff.training.memory import retain_freed_memory
from voicediff.training.options import read_training
from voicediff.training.trainer import Folders, Trainer, accelerator


@dataclass(frozen=True)
class Request:
    """Arguments of a training, see `voicediff train --help`."""

    config: Path
    train: Path
    experiment: Path
    dev: Path | None = None
    assets: Path | None = None
    overrides: Sequence[str] = ()
    init_from: Path | None = None
    new_config: bool = False
    device: str | None = None


def train(request: Request) -> int:
    """Start or resume a training. Returns 0, or the number of the signal that stopped it."""
    retain_freed_memory()
    config = experiment.read_config(request.config, request.overrides)
    training = read_training(config)
    _require_folders(request)
    process = accelerator(training.precision, request.device)
    if training.precision == "bf16" and process.mixed_precision == "no" and process.is_main_process:
        print("this processor has no bfloat16 instructions: training in float32", file=sys.stderr)
    with _locked(request.experiment) if process.is_main_process else nullcontext():
        loggers = build_loggers(config)
        folders = Folders(request.train, request.dev, request.experiment)
        budget, stopped = fit(config, training, folders, request.assets, process)
        if stopped:
            return stopped
        task = config.build_task(request.assets)
        if checkpoints.newest(request.experiment) is None:
            _initialize(task, request.init_from, process.is_main_process)
        trainer = Trainer(task, config, training, loggers, folders, process)
        if budget is not None:
            trainer.on_phase_start = budget.adjust
        if process.is_main_process:
            _prepare_folder(request, config)
        process.wait_for_everyone()
        try:
            return trainer.run()
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"step {trainer.state.step + 1}: out of GPU memory; lower batch_size and raise "
                "accumulate by the same factor"
            ) from error
        finally:
            process.end_training()
            AcceleratorState._reset_state(True)  # the next training may use another precision


def build_loggers(config: Config) -> dict[str, Logger]:
    """The loggers of a configuration by name; csv is always the first."""
    if not isinstance(config.loggers, list):
        raise ConfigError(f"loggers: expected a list, found {config.loggers!r}")
    specs = [{"name": item} if isinstance(item, str) else item for item in config.loggers]
    if {"name": "csv"} not in specs:
        specs.insert(0, {"name": "csv"})
    config.loggers = [Spec(s, f"loggers[{number}]") for number, s in enumerate(specs)]
    return {spec["name"]: build("logger", spec) for spec in config.loggers}


def _prepare_folder(request: Request, config: Config) -> None:
    """Create the experiment folder, or check that it belongs to this configuration."""
    folder = request.experiment
    if not (folder / "config.yaml").is_file():
        experiment.create(folder, config, request.assets)
        return
    found = experiment.differences(folder, config)
    if request.assets:
        kept, given = map(experiment.fingerprints, (folder / "assets", request.assets))
        changed = sorted(name for name in kept | given if kept.get(name) != given.get(name))
        if changed:
            raise ConfigError(
                f"{folder}: was started with other assets ({', '.join(changed)}); "
                "choose another folder (--exp)"
            )
    if found and not request.new_config:
        raise ConfigError(
            f"{folder}: was started with another configuration: {', '.join(found)}; choose another "
            "folder (--exp) or continue anyway (--resume-with-new-config)"
        )
    if found:
        experiment.write_config(folder, config)


def _initialize(task: Task, source: Path | None, report: bool) -> None:
    """Load the initial weights: of pre-trained encoders, and of the experiment of --init-from."""
    for path in load_pretrained(task):
        if report:
            print(f"pre-trained encoder loaded from {path}", file=sys.stderr)
    if source:
        _fine_tune(task, source, report)
    task.begin(source)


def _fine_tune(task: Task, source: Path, report: bool) -> None:
    left_out = experiment.load_matching(task, source)
    left_out = [line for line in left_out if not line.startswith(task.set_by_begin)]
    if report:
        print(f"weights loaded from {source}; not loaded: {len(left_out)}", file=sys.stderr)
        for line in left_out:
            print(f"  {line}", file=sys.stderr)


def _require_folders(request: Request) -> None:
    for folder in filter(None, (request.train, request.dev, request.assets)):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Prevents two trainings in one folder; the lock ends with this process, not with its workers."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(f"{folder}: another training is running here") from None
    try:
        yield
    finally:
        lock.release()
