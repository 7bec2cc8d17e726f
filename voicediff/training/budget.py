"""As much training as fits into a time on the machine at hand."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from voicediff import experiment
from voicediff.experiment import Config
from voicediff.files import write_json
from voicediff.training import checkpoints
from voicediff.training.loggers import Logger
from voicediff.training.options import Phase, Training
from voicediff.training.trainer import Folders, Trainer

FITTED = "fitted.json"
TRIED, SETTLING = 8, 2  # steps tried of every phase, and how many of them are not counted
SAMPLED = 6  # validation is tried with a so many times smaller set


@dataclass(frozen=True)
class Pace:
    """Seconds that a step of each phase takes, and a whole validation."""

    steps: dict[str, float]
    validation: float

    def seconds(self, phases: Sequence[Phase], validate_every: int) -> float:
        """What phases take."""
        validations = sum(phase.steps for phase in phases) / validate_every
        return self.validation * validations + sum(
            self.steps[phase.name] * phase.steps for phase in phases
        )


class Budget:
    """Keeps a training within its time: before it, and again whenever a phase is done.

    A machine that was slower in the trial than in the phases since has time for more of the steps that are left,
    at most those of the configuration, and one that has become slower for fewer.

    Args:
        training: shortened in place.
        end: when the training should be over, by `time.monotonic`.
    """

    def __init__(self, config: Config, training: Training, folder: Path, pace: Pace, end: float):
        self.config, self.training, self.folder = config, training, folder
        self.pace, self.end = pace, end
        self.wanted = {phase.name: phase.steps for phase in training.phases}
        self.shares = dict.fromkeys(self.wanted, 1.0)
        self.began = time.monotonic()

    def begin(self) -> None:
        """Give all phases the same share."""
        left = self.end - self.began
        whole = self._seconds(self.training.phases) + self.pace.validation
        self._share_out(0, left - self.pace.validation)
        wanted, steps = sum(self.wanted.values()), sum(p.steps for p in self.training.phases)
        if steps < wanted:
            print(
                f"this machine would train for {whole / 60:.0f} minutes: {steps} of {wanted} steps instead, about "
                f"{self.training.minutes:g} minutes (all of them: training.minutes=null)",
                file=sys.stderr,
            )

    def again(self, number: int) -> None:
        """Give the phases from `number` on another share, if the time of those before it says so."""
        now = time.monotonic()
        done, rest = self.training.phases[:number], self.training.phases[number:]
        slower = (now - self.began) / self._seconds(done)
        before = [phase.steps for phase in rest]
        self._share_out(number, (self.end - now) / slower - self.pace.validation)
        if before != (steps := [phase.steps for phase in rest]):
            experiment.write_config(self.folder, self.config)
            tqdm.write(
                f"{rest[0].name}: so far training took {slower:.2f} times as long as the trial said: {sum(steps)} "
                f"steps from here on in place of {sum(before)}",
                file=sys.stderr,
            )

    def _seconds(self, phases: Sequence[Phase]) -> float:
        return self.pace.seconds(phases, self.training.validate_every)

    def _share_out(self, number: int, seconds: float) -> None:
        """The largest share of the phases from `number` on with which they end in time, in thousandths; kept."""
        names = list(self.wanted)[number:]

        def takes(thousandths: int) -> float:
            shares = dict.fromkeys(names, thousandths / 1000)
            return self._seconds(
                [_shortened(p, self.wanted[p.name], shares) for p in self.training.phases[number:]]
            )

        fitting = bisect_right(range(1001), max(seconds, 0.0), key=takes)
        self.shares |= dict.fromkeys(names, max(fitting - 1, 0) / 1000)
        for phase in self.training.phases[number:]:
            phase.steps = _shortened(phase, self.wanted[phase.name], self.shares).steps
        kept = {"shares": self.shares, "seconds": self.pace.steps}
        write_json(self.folder / FITTED, kept | {"validation": self.pace.validation})


def fit(
    config: Config, training: Training, folders: Folders, assets: Path | None, process: Accelerator
) -> tuple[Budget | None, int]:
    """Shorten phases, so that training ends within `training.minutes`.

    By how much is found by trying a few steps of each phase on a copy of the model, and kept in
    `fitted.json`, so that a training that goes on keeps its length. Several processes, and trainings
    hardly longer than the trial, are left as they are.

    Returns:
        what looks at the clock again between phases, or None where nothing does; and 0, or the number of the
        signal that stopped the trial.
    """
    kept = folders.experiment / FITTED
    if training.minutes is None or process.num_processes > 1:
        return None, 0
    if kept.is_file():
        shares = json.loads(kept.read_text(encoding="utf-8"))["shares"]
        for phase in training.phases:
            phase.steps = _shortened(phase, phase.steps, shares).steps
        return None, 0
    wanted = sum(phase.steps for phase in training.phases)
    begun = checkpoints.newest(folders.experiment) is not None
    if begun or wanted <= 5 * TRIED * len(training.phases):
        return None, 0
    end = time.monotonic() + 60 * training.minutes
    pace, stopped = measured(config, training, folders, assets, process)
    if stopped:
        return None, stopped
    budget = Budget(config, training, folders.experiment, pace, end)
    budget.begin()
    return budget, 0


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


def _shortened(phase: Phase, wanted: int, shares: dict[str, float]) -> Phase:
    """The phase with its share of the steps wanted, but not less than its least."""
    share = shares.get(phase.name, 1.0)
    return replace(phase, steps=max(min(phase.min_steps, wanted), round(share * wanted)))
