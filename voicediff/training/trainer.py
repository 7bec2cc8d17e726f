"""The training loop."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from voicediff.devices import chosen
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError, DataError, TrainingError
from voicediff.experiment import Config
from voicediff.networks.precision import has_bfloat16
from voicediff.tasks.base import Batch, Losses, Task
from voicediff.training import checkpoints
from voicediff.training.average import averaged
from voicediff.training.checkpoints import State
from voicediff.training.loggers import Logger
from voicediff.training.meter import Meter
from voicediff.training.options import Phase, Training
from voicediff.training.order import Order, SeededIndex, load, share
from voicediff.training.targets import OptimizationTarget, build_targets


@dataclass(frozen=True)
class Folders:
    """Folders of training data, development data (None: no validation) and the experiment."""

    train: Path
    dev: Path | None
    experiment: Path


class Trainer:
    """Trains a task phase by phase. A training that was killed at any moment resumes exactly.

    Args:
        task: on any device, with its initial weights; moved to the accelerator's device.
        config: the resolved configuration, for the seed and the sampler of validation.
        training: its checked `training:` section.
        loggers: not opened yet; used by the main process only.

    Attributes:
        on_phase_start: called with the number of a phase before each phase except the first; may change the
            number of steps of this phase and the following ones.
    """

    def __init__(
        self,
        task: Task,
        config: Config,
        training: Training,
        loggers: dict[str, Logger],
        folders: Folders,
        accelerator: Accelerator,
    ):
        self.config, self.training, self.folders = config, training, folders
        self.accelerator = accelerator
        self.task = task.to(accelerator.device)
        self.average = averaged(self.task, training.ema)  # before autocast is wrapped around task
        self.sampler = config.build_sampler()
        self.targets = build_targets(training, self.task)
        self.model = accelerator.prepare_model(self.task)
        self.meter = Meter(accelerator)
        self.loggers = loggers if accelerator.is_main_process else {}
        self.on_phase_start: Callable[[int], None] = lambda number: None
        self.state = State()
        self.signal = 0

    def run(self) -> int:
        """The training loop. Returns 0, or the number of the signal that stopped it."""
        self._resume()
        phases = self.training.phases
        with self._signals(), self._progress() as progress:
            while True:
                phase, targets = phases[self.state.phase], self.targets[self.state.phase]
                self.task.train()
                progress.set_description(phase.name)
                for batches in self._updates(phase):
                    count, stop = self._synchronized(batches)
                    for target in targets:
                        self._update(target, phase, batches, count)
                    self.average.update_parameters(self.task)
                    self.state.step += 1
                    self.state.phase_step += 1
                    progress.update()
                    self._report(phase, targets, progress, stop)
                    if stop:
                        return stop
                if self.state.phase == len(phases) - 1:
                    for logger in self.loggers.values():
                        logger.end()
                    return 0
                self._next_phase()
                progress.total = sum(phase.steps for phase in phases)

    def _update(
        self, target: OptimizationTarget, phase: Phase, batches: list[Batch], count: int
    ) -> None:
        """One step of one optimisation target: accumulate gradients, clip them, update.

        DDP takes the mean over processes, so the sums are scaled to give sum / global count.
        """
        self._train_only(target)
        scale = self.accelerator.num_processes / count
        for number, batch in enumerate(batches):
            self._reseed(target, number)
            last = number == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                losses = self.model(batch, target.name)
                self.accelerator.backward(losses.loss * scale)
            self._require_finite(losses, losses.loss, "loss", target, batch)
            self.meter.add_losses(target.name, losses, self.task.count(batch))
        clip = float("inf") if phase.clip is None else phase.clip
        norm = torch.nn.utils.clip_grad_norm_(target.parameters, clip)
        self._require_finite(losses, norm, "gradient", target, *batches)
        rate = target.set_rate(self.state.phase_step, phase.steps)
        target.optimizer.step()
        target.optimizer.zero_grad()
        self.meter.add(f"{target.name}/gradient", norm, 1)
        self.meter.add(f"{target.name}/rate", rate, 1)

    def _report(
        self, phase: Phase, targets: list[OptimizationTarget], progress: tqdm, stop: int
    ) -> None:
        """Log, validate and write a checkpoint if they are due at this step."""
        state, training = self.state, self.training
        end = state.phase == len(training.phases) - 1 and state.phase_step == phase.steps
        if state.step % training.log_every == 0 or end:
            means = self.meter.means()
            self._log("train", means)
            progress.set_postfix(loss=f"{means[targets[0].name + '/loss']:.4g}", refresh=False)
        validated = self.folders.dev and (state.step % training.validate_every == 0 or end)
        if validated:
            self._validate(phase, targets)
        if state.step % training.checkpoint_every == 0 or validated or stop or end:
            self._save(targets)

    # -- data -----------------------------------------------------------------------------------

    def _updates(self, phase: Phase) -> Iterator[list[Batch]]:
        """The batches of this process for each remaining update of a phase."""
        dataset = self._dataset(self.folders.train, phase, training=True)
        lengths = tuple(dataset.lengths) if phase.sort_pool > 1 else ()
        size = phase.batch_size * phase.accumulate
        order = Order(self.config.seed, phase.name, len(dataset), size, phase.sort_pool, lengths)
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        if phase.batch_size < processes:
            raise ConfigError(
                f"training.phases.{phase.name}.batch_size: {phase.batch_size} items cannot be "
                f"shared by {processes} processes"
            )
        indices = (
            batch
            for number in range(self.state.phase_step, phase.steps)
            for batch in share(order.update(number), phase.accumulate, process, processes)
        )
        batches = map(self._to_device, load(self.task, dataset, indices, self.training.workers))
        while update := list(islice(batches, phase.accumulate)):
            yield update

    def _dataset(self, folder: Path, phase: Phase, training: bool) -> Dataset:
        dataset = self.task.dataset(folder, training, phase.data)
        if len(dataset) == 0:
            raise DataError(f"{folder}: no items")
        return dataset

    def _to_device(self, batch: Any) -> Any:
        """The batch with all its tensors (in mappings, sequences and dataclasses) on the device."""
        if isinstance(batch, Tensor):
            device = self.accelerator.device
            return batch.to(device, non_blocking=device.type == "cuda")  # else memory is not pinned
        if isinstance(batch, dict):
            return {key: self._to_device(value) for key, value in batch.items()}
        if isinstance(batch, (list, tuple)) and not hasattr(batch, "_fields"):
            return type(batch)(self._to_device(value) for value in batch)
        if dataclasses.is_dataclass(batch):
            names = [f.name for f in dataclasses.fields(batch) if f.init]
            moved = {name: self._to_device(getattr(batch, name)) for name in names}
            return dataclasses.replace(batch, **moved)
        return batch

    # -- steps ----------------------------------------------------------------------------------

    def _synchronized(self, batches: list[Batch]) -> tuple[int, int]:
        """Over all processes: number of valid frames of an update, and the signal to stop after it."""
        counts = [sum(self.task.count(batch) for batch in batches), self.signal]
        tensor = torch.tensor(counts, dtype=torch.int64, device=self.accelerator.device)
        count, stop = self.accelerator.reduce(tensor, "sum").tolist()
        return max(count, 1), self.signal or (signal.SIGTERM if stop else 0)

    def _train_only(self, target: OptimizationTarget) -> None:
        chosen = set(map(id, target.parameters))
        for parameter in self.task.parameters():
            parameter.requires_grad_(id(parameter) in chosen)

    def _reseed(self, target: OptimizationTarget, number: int) -> None:
        """Make dropout and other random numbers depend on the step only, for exact resuming."""
        process = self.accelerator.process_index
        where = (self.config.seed, "step", self.state.step, target.name, number, process)
        torch.manual_seed(item_seed(*where))

    def _require_finite(
        self, losses: Losses, value: Tensor, what: str, target: OptimizationTarget, *batches: Batch
    ) -> None:
        value = value.detach()
        if torch.isfinite(value):
            return
        names = [str(name) for batch in batches for name in batch["utts"]]
        if what == "loss" and losses.by_item is not None:
            bad = (~losses.by_item.isfinite()).tolist()
            names = [name for name, is_bad in zip(names, bad, strict=True) if is_bad] or names
        last = checkpoints.newest(self.folders.experiment)
        kept = f"the checkpoint {last.name} is kept" if last else "there is no checkpoint yet"
        raise TrainingError(
            f"step {self.state.step + 1}, target {target.name}: the {what} is {value.item()} for "
            f"{', '.join(names)}; {kept}. Look at these items, lower the learning rate, or train in fp32"
        )

    def _next_phase(self) -> None:
        """Continue with the next phase from the averaged weights, which inference uses.

        The best weights are those of the current phase: metrics of different phases are not compared.
        """
        self.task.load_state_dict(self.average.module.state_dict())
        self.average.n_averaged.zero_()
        self.state.phase += 1
        self.state.phase_step = 0
        self.on_phase_start(self.state.phase)
        self.state.best = self.state.best_step = None

    # -- reports --------------------------------------------------------------------------------

    @torch.no_grad()
    def _validate(self, phase: Phase, targets: list[OptimizationTarget]) -> None:
        """Losses on the development set, and the metric that selects the best weights."""
        task = self.average.module.eval()
        dataset = self._dataset(self.folders.dev, phase, training=False)
        indices = [
            SeededIndex(i, item_seed(self.config.seed, "dev", i))
            for i in range(min(len(dataset), self.training.validation_items))
        ]
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        meter = Meter(self.accelerator)
        for target in targets:  # a process without items needs the same names for the sum
            meter.add(f"{target.name}/loss", 0.0, 0.0)
        for batch in self._batches(task, dataset, indices[process::processes], phase):
            for target in targets:
                torch.manual_seed(0)
                with self.accelerator.autocast():
                    losses = task(batch, target.name)
                meter.add(f"{target.name}/loss", losses.loss, task.count(batch))
        self._log("dev", meter.means())
        if self.accelerator.is_main_process and self.training.previews:
            self._preview(task, dataset, indices[: self.training.previews], phase)
        self.accelerator.wait_for_everyone()

    def _preview(
        self, task: Task, dataset: Dataset, indices: list[SeededIndex], phase: Phase
    ) -> None:
        batches = list(self._batches(task, dataset, indices, phase))
        preview = task.preview(batches, self.sampler, self.training.pictures)
        self._log("sample", preview.scalars)
        for logger in self.loggers.values():
            logger.preview(self.state.step, preview)
        found = preview.scalars.get(task.best)
        if found is not None and (self.state.best is None or found < self.state.best):
            self.state.best, self.state.best_step = found, self.state.step

    def _batches(
        self, task: Task, dataset: Dataset, indices: list[SeededIndex], phase: Phase
    ) -> Iterator[Batch]:
        size = phase.batch_size
        lists = [indices[start : start + size] for start in range(0, len(indices), size)]
        return map(self._to_device, load(task, dataset, lists, 0))

    def _log(self, split: str, values: dict[str, float]) -> None:
        for logger in self.loggers.values():
            logger.scalars(self.state.step, split, values)

    def _save(self, targets: list[OptimizationTarget]) -> None:
        self.state.meter = self.meter.totals()
        if self.accelerator.is_main_process:
            self.state.loggers = {name: logger.state() for name, logger in self.loggers.items()}
            checkpoints.save(
                self.folders.experiment,
                self.state,
                self.task,
                self.average.module,
                targets,
                self.training.keep,
            )
        self.accelerator.wait_for_everyone()

    # -- start and stop -------------------------------------------------------------------------

    def _resume(self) -> None:
        """Load the newest checkpoint, if there is one."""
        folder = self.folders.experiment
        checkpoint = checkpoints.newest(folder)
        if checkpoint is not None:
            self.state = checkpoints.read_state(checkpoint)
            if self.state.phase >= len(self.training.phases):
                raise ConfigError(
                    f"training.phases: {checkpoint} belongs to phase {self.state.phase}"
                )
            targets = self.targets[self.state.phase]
            checkpoints.restore(checkpoint, self.task, self.average.module, targets)
            self.average.n_averaged.fill_(self.state.phase_step)
            self.meter.restore(self.state.meter)
        if self.accelerator.is_main_process:
            checkpoints.clean(folder)
            if checkpoint is not None:
                checkpoints.publish(folder, checkpoint, self.state)
        for name, logger in self.loggers.items():
            logger.describe(self.config.resolved())
            logger.open(folder, self.state.step, self.state.loggers.get(name, {}))

    def _signals(self) -> _Stop:
        return _Stop(self)

    def _progress(self) -> tqdm:
        return tqdm(
            total=sum(phase.steps for phase in self.training.phases),
            initial=self.state.step,
            unit="step",
            disable=not self.accelerator.is_main_process,
            mininterval=0.5 if sys.stderr.isatty() else 10,
        )


class _Stop:
    """Within the block the first SIGINT or SIGTERM requests a stop; a second one ends at once.

    Python handles signals in the main thread only: in other threads nothing is changed.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def __enter__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
        self.before = {number: signal.signal(number, self._ask) for number in numbers}

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        for logger in self.trainer.loggers.values():
            logger.close()

    def _ask(self, number: int, frame: object) -> None:
        self.trainer.signal = number
        signal.signal(number, self.before[number])


def accelerator(precision: str, device: str | None = None) -> Accelerator:
    """An Accelerator for the processes started by `torchrun` or `accelerate launch`, or for one.

    DDP looks for unused parameters, because each optimisation target trains only some of them.

    device: see `devices.chosen`; without a number if there are several processes, since each uses
    a GPU of its own.
    """
    wanted = chosen(device)
    if wanted.index is not None and wanted.type == "cuda":
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError(
                f"--device {device}: several processes choose their GPUs themselves; use cuda"
            )
        torch.cuda.set_device(wanted)
    return Accelerator(
        mixed_precision="bf16" if precision == "bf16" and has_bfloat16(wanted.type) else "no",
        cpu=wanted.type == "cpu",
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=timedelta(hours=2)),  # others wait while one validates
        ],
    )
