"""As much training as fits into a time on the machine at hand."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from voicediff.experiment import Config
from voicediff.files import write_json
from voicediff.training import checkpoints
from voicediff.training.loggers import Logger
from voicediff.training.options import Training
from voicediff.training.trainer import Folders, Trainer

FITTED = "fitted.json"
TRIED, SETTLING = 8, 2  # steps tried of every phase, and how many of them are not counted
SAMPLED = 6  # validation is tried with a so many times smaller set


@dataclass(frozen=True)
class Pace:
    """Seconds that a step of each phase takes, and a whole validation."""

    steps: dict[str, float]
    validation: float

    def seconds(self, training: Training) -> float:
        """What a training takes."""
        steps = sum(phase.steps for phase in training.phases)
        validations = steps / training.validate_every + 1
        return self.validation * validations + sum(
            self.steps[phase.name] * phase.steps for phase in training.phases
        )


def fit(
    config: Config, training: Training, folders: Folders, assets: Path | None, process: Accelerator
) -> int:
    """Shorten all phases by the same factor, so that training ends within `training.minutes`.

    The factor is found by trying a few steps of each phase on a copy of the model, and kept in
    `fitted.json`, so that a training that goes on keeps its length. Several processes, and trainings
    hardly longer than the trial, are left as they are.

    Returns:
        0, or the number of the signal that stopped the trial.
    """
    kept = folders.experiment / FITTED
    if training.minutes is None or process.num_processes > 1:
        return 0
    if kept.is_file():
        _shorten(training, json.loads(kept.read_text())["share"])
        return 0
    wanted = sum(phase.steps for phase in training.phases)
    begun = checkpoints.newest(folders.experiment) is not None
    if begun or wanted <= 5 * TRIED * len(training.phases):
        return 0
    started = time.monotonic()
    pace, stopped = measured(config, training, folders, assets, process)
    if stopped:
        return stopped
    left = 60 * training.minutes - (time.monotonic() - started)
    whole = pace.seconds(training)
    share = _share(pace, training, left)
    _shorten(training, share)
    write_json(kept, {"share": share, "seconds": pace.steps, "validation": pace.validation})
    if share < 1.0:
        steps = sum(phase.steps for phase in training.phases)
        print(
            f"this machine would train for {whole / 60:.0f} minutes: {steps} of {wanted} steps instead, about "
            f"{training.minutes:g} minutes (all of them: training.minutes=null)",
            file=sys.stderr,
        )
    return 0


def measured(
    config: Config, training: Training, folders: Folders, assets: Path | None, process: Accelerator
) -> tuple[Pace, int]:
    """The pace of a training on this machine; and the signal that stopped the trial, or 0."""
    steps, validation = {}, 0.0
    for phase in training.phases:
        last = phase is training.phases[-1]
        tried = replace(
            training,
            phases=[replace(phase, steps=TRIED)],
            log_every=1,
            validate_every=10 * TRIED,
            checkpoint_every=10 * TRIED,
            validation_items=-(-training.validation_items // SAMPLED),
            previews=-(-training.previews // SAMPLED),
        )
        clock = Clock()
        with tempfile.TemporaryDirectory() as scratch:
            dev = folders.dev if last else None
            places = Folders(folders.train, dev, Path(scratch))
            task = config.build_task(assets)
            stopped = Trainer(task, config, tried, {"clock": clock}, places, process).run()
        process.free_memory()
        if stopped:
            return Pace(steps, validation), stopped
        steps[phase.name] = clock.per_step()
        validation = SAMPLED * clock.after_training()
    return Pace(steps, validation), 0


class Clock(Logger):
    """Notes when the trainer says something."""

    def __init__(self) -> None:
        self.ticks: list[tuple[str, float]] = []

    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        self.ticks.clear()

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        self.ticks.append((split, time.monotonic()))

    def per_step(self) -> float:
        """Mean seconds between the later reports of training."""
        times = [at for split, at in self.ticks if split == "train"][SETTLING - 1 :]
        return (times[-1] - times[0]) / (len(times) - 1)

    def after_training(self) -> float:
        """Seconds from the last report of training to the last of all."""
        return self.ticks[-1][1] - max(at for split, at in self.ticks if split == "train")


def _share(pace: Pace, training: Training, seconds: float) -> float:
    """The largest share of the steps, at most 1, with which a training ends in time, in thousandths."""

    def takes(share: float) -> float:
        tried = replace(training, phases=[replace(phase) for phase in training.phases])
        _shorten(tried, share)
        return pace.seconds(tried)

    fitting = bisect_right(range(1001), seconds, key=lambda thousandths: takes(thousandths / 1000))
    return max(fitting - 1, 0) / 1000


def _shorten(training: Training, share: float) -> None:
    for phase in training.phases:
        phase.steps = max(min(phase.least, phase.steps), round(share * phase.steps))
