"""From a request to a running trainer: configuration, experiment folder, initial weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from voicediff.training.memory import keep_freed
from voicediff.training.options import read_training
from voicediff.training.trainer import Folders, Trainer, accelerator


@dataclass(frozen=True)
class Request:
    """What is to be trained from what, where; see `voicediff train --help`."""

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
    """Train, or go on training. Returns 0, or the number of the signal that stopped it."""
    keep_freed()
    config = experiment.read_config(request.config, request.overrides)
    training = read_training(config)
    _require_folders(request)
    process = accelerator(training.precision, request.device)
    if training.precision == "bf16" and process.mixed_precision == "no" and process.is_main_process:
        print(
            "this processor has no instructions for bfloat16: training in float32", file=sys.stderr
        )
    with _alone(request.experiment) if process.is_main_process else _nothing():
        loggers = build_loggers(config)
        folders = Folders(request.train, request.dev, request.experiment)
        budget, stopped = fit(config, training, folders, request.assets, process)
        if stopped:
            return stopped
        task = config.build_task(request.assets)
        if checkpoints.newest(request.experiment) is None:
            _begin(task, request.init_from, process.is_main_process)
        trainer = Trainer(task, config, training, loggers, folders, process)
        if budget is not None:
            trainer.at_phase = budget.again
        if process.is_main_process:
            _settle(request, config)
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
            AcceleratorState._reset_state(True)  # the next training may want another precision


def build_loggers(config: Config) -> dict[str, Logger]:
    """The loggers of a configuration by name; csv is always among them, and first."""
    if not isinstance(config.loggers, list):
        raise ConfigError(f"loggers: expected a list, found {config.loggers!r}")
    specs = [{"name": item} if isinstance(item, str) else item for item in config.loggers]
    if {"name": "csv"} not in specs:
        specs.insert(0, {"name": "csv"})
    config.loggers = [Spec(s, f"loggers[{number}]") for number, s in enumerate(specs)]
    return {spec["name"]: build("logger", spec) for spec in config.loggers}


def _settle(request: Request, config: Config) -> None:
    """Lay out the experiment folder, or make sure that it is the one of this configuration."""
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
                f"{folder}: was begun with other assets ({', '.join(changed)}); "
                "give another folder (--exp)"
            )
    if found and not request.new_config:
        raise ConfigError(
            f"{folder}: was begun with another configuration: {', '.join(found)}; give another "
            "folder (--exp) or go on anyway (--resume-with-new-config)"
        )
    if found:
        experiment.write_config(folder, config)


def _begin(task: Task, source: Path | None, report: bool) -> None:
    """The first weights: those of pre-trained encoders, and of the experiment to start from."""
    for path in load_pretrained(task):
        if report:
            print(f"pre-trained encoder taken from {path}", file=sys.stderr)
    if source:
        _fine_tune(task, source, report)
    task.begin(source)


def _fine_tune(task: Task, source: Path, report: bool) -> None:
    left_out = experiment.load_same(task, source)
    left_out = [line for line in left_out if not line.startswith(task.begun)]
    if report:
        print(f"weights taken from {source}; not taken: {len(left_out)}", file=sys.stderr)
        for line in left_out:
            print(f"  {line}", file=sys.stderr)


def _require_folders(request: Request) -> None:
    for folder in filter(None, (request.train, request.dev, request.assets)):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No two trainings write to one folder; the lock goes with the process, not its workers."""
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


@contextmanager
def _nothing() -> Iterator[None]:
    yield
