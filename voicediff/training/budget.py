"""Training within a time limit on the present machine."""

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
TRIAL_STEPS, WARMUP_STEPS = 8, 2  # steps of the trial per phase; the first of them are not timed
VALIDATION_SHARE = 6  # the trial validates on a set that is smaller by this factor


@dataclass(frozen=True)
class StepTimes:
    """Seconds per step of each phase, and per validation."""

    steps: dict[str, float]
    validation: float

    def seconds(self, phases: Sequence[Phase], validate_every: int) -> float:
        """Estimated seconds of these phases."""
        validations = sum(phase.steps for phase in phases) / validate_every
        return self.validation * validations + sum(
            self.steps[phase.name] * phase.steps for phase in phases
        )


class Budget:
    """Shortens phases to keep a training within its time limit, initially and after each phase.

    If the machine is faster than in the trial, the remaining phases get more steps (at most those of
    the configuration); if it is slower, fewer.

    Args:
        training: changed in place.
        end: time at which the training should end, by `time.monotonic`.
    """

    def __init__(
        self, config: Config, training: Training, folder: Path, times: StepTimes, end: float
    ):
        self.config, self.training, self.folder = config, training, folder
        self.times, self.end = times, end
        self.wanted = {phase.name: phase.steps for phase in training.phases}
        self.shares = dict.fromkeys(self.wanted, 1.0)
        self.start = time.monotonic()

    def shorten(self) -> None:
        """Shorten all phases by the same factor."""
        left = self.end - self.start
        whole = self._seconds(self.training.phases) + self.times.validation
        self._share_out(0, left - self.times.validation)
        wanted, steps = sum(self.wanted.values()), sum(p.steps for p in self.training.phases)
        if steps < wanted:
            print(
                f"training would take {whole / 60:.0f} minutes: {steps} of {wanted} steps instead, about "
                f"{self.training.minutes:g} minutes (all of them: training.minutes=null)",
                file=sys.stderr,
            )

    def adjust(self, number: int) -> None:
        """Change the length of the phases from `number` on by the measured time of the previous ones."""
        now = time.monotonic()
        done, rest = self.training.phases[:number], self.training.phases[number:]
        slower = (now - self.start) / self._seconds(done)
        before = [phase.steps for phase in rest]
        self._share_out(number, (self.end - now) / slower - self.times.validation)
        if before != (steps := [phase.steps for phase in rest]):
            experiment.write_config(self.folder, self.config)
            tqdm.write(
                f"{rest[0].name}: training took {slower:.2f} times as long as estimated: {sum(steps)} remaining "
                f"steps instead of {sum(before)}",
                file=sys.stderr,
            )

    def _seconds(self, phases: Sequence[Phase]) -> float:
        return self.times.seconds(phases, self.training.validate_every)

    def _share_out(self, number: int, seconds: float) -> None:
        """Set and store the largest factor, in thousandths, with which the phases from `number` on end in time."""
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
        kept = {"shares": self.shares, "seconds": self.times.steps}
        write_json(self.folder / FITTED, kept | {"validation": self.times.validation})


def fit(
    config: Config, training: Training, folders: Folders, assets: Path | None, process: Accelerator
) -> tuple[Budget | None, int]:
    """Shorten phases, so that training ends within `training.minutes`.

    The factor is estimated from a few steps of each phase on a copy of the model. It is stored in
    `fitted.json`, so that a resumed training keeps its length. Trainings with several processes, and
    trainings hardly longer than the trial, are not changed.

    Returns:
        the budget that is adjusted between phases, or None without one; and 0, or the number of the signal
        that stopped the trial.
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
    started = checkpoints.newest(folders.experiment) is not None
    if started or wanted <= 5 * TRIAL_STEPS * len(training.phases):
        return None, 0
    end = time.monotonic() + 60 * training.minutes
    times, stopped = measure(config, training, folders, assets, process)
    if stopped:
        return None, stopped
    budget = Budget(config, training, folders.experiment, times, end)
    budget.shorten()
    return budget, 0


def measure(
    config: Config, training: Training, folders: Folders, assets: Path | None, process: Accelerator
) -> tuple[StepTimes, int]:
    """Step times of a training on this machine, and the signal that stopped the trial, or 0."""
    steps, validation = {}, 0.0
    for phase in training.phases:
        last = phase is training.phases[-1]
        tried = replace(
            training,
            phases=[replace(phase, steps=TRIAL_STEPS)],
            log_every=1,
            validate_every=10 * TRIAL_STEPS,
            checkpoint_every=10 * TRIAL_STEPS,
            validation_items=-(-training.validation_items // VALIDATION_SHARE),
            previews=-(-training.previews // VALIDATION_SHARE),
        )
        timer = TimingLogger()
        with tempfile.TemporaryDirectory() as scratch:
            dev = folders.dev if last else None
            places = Folders(folders.train, dev, Path(scratch))
            task = config.build_task(assets)
            stopped = Trainer(task, config, tried, {"timer": timer}, places, process).run()
        process.free_memory()
        if stopped:
            return StepTimes(steps, validation), stopped
        steps[phase.name] = timer.per_step()
        validation = VALIDATION_SHARE * timer.after_training()
    return StepTimes(steps, validation), 0


class TimingLogger(Logger):
    """Records the times of the trainer's reports."""

    def __init__(self) -> None:
        self.ticks: list[tuple[str, float]] = []

    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        self.ticks.clear()

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        self.ticks.append((split, time.monotonic()))

    def per_step(self) -> float:
        """Mean seconds per step, without the first steps."""
        times = [at for split, at in self.ticks if split == "train"][WARMUP_STEPS - 1 :]
        return (times[-1] - times[0]) / (len(times) - 1)

    def after_training(self) -> float:
        """Seconds from the last training report to the last report, i.e. of the validation."""
        return self.ticks[-1][1] - max(at for split, at in self.ticks if split == "train")


def _shortened(phase: Phase, wanted: int, shares: dict[str, float]) -> Phase:
    """The phase with its share of the wanted steps, but at least `min_steps`."""
    share = shares.get(phase.name, 1.0)
    return replace(phase, steps=max(min(phase.min_steps, wanted), round(share * wanted)))
