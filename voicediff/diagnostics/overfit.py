"""Overfitting test: can a fresh copy of the model fit four mixtures?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

from torch import nn

from voicediff.config import plain
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.diagnostics.check import Check
from voicediff.diagnostics.video import moved, separate_all
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.experiment import Config, Experiment
from voicediff.networks.precision import bfloat16
from voicediff.registry import Spec
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.training.options import Phase, Training, read_training
from voicediff.training.targets import OptimizationTarget, build_targets

GAIN = 20.0  # dB SI-SDRi
MIXTURES = 4
EVERY = 50  # steps between two measurements
Progress = Callable[[int, float], None]


def overfit(
    loaded: Experiment,
    mixtures: ListedMixtures,
    sampler: Sampler | None,
    steps: int,
    least: float = GAIN,
    count: int = MIXTURES,
    every: int = EVERY,
    progress: Progress = lambda step, gain: None,
) -> Check:
    """Train a new model of the same configuration on a few mixtures until it overfits.

    Optimizer, batch size, clipping and precision are those of the phase that trains the predictor
    (the generator if there is none); without weight averages and video augmentation. Training stops
    when the SI-SDRi, mean over all speakers, exceeds `least` dB; it is measured every `every` steps.
    """
    config = fresh(loaded.config)
    assets = loaded.folder / "assets"
    task = config.build_task(assets if assets.is_dir() else None)
    device = next(loaded.task.parameters()).device
    training = read_training(config)
    phase, target = teaching(training, task, steps)
    items = [mixtures.item(i, 0) for i in range(min(count, len(mixtures)))]
    batches = [moved(b, device) for b in _batches(task, items, phase.batch_size)]
    sampler = None if task.predictor is not None else sampler
    gain, step = float("nan"), 0
    for step in trained(task.to(device), phase, target, training, batches):
        if step % every and step < steps:
            continue
        gain = reached(task, batches, sampler)
        progress(step, gain)
        if gain > least:
            break
    title = f"{len(items)} mixtures overfitted: SI-SDRi"
    shown = f"{gain:.1f} dB after {step} steps"
    figures = {"value": gain, "steps": step, "seed": config.seed}
    return Check("overfit", title, shown, f"> {least:g} dB", gain > least, figures)


def fresh(config: Config) -> Config:
    """A copy of a configuration: building and reading modify it."""
    return Config(
        task=Spec(plain(config.task), "task"),
        training=dict(plain(config.training)),
        seed=config.seed,
        imports=config.imports,
        files=config.files,
    )


def teaching(
    training: Training, task: SpeechSeparation, steps: int
) -> tuple[Phase, OptimizationTarget]:
    """The first phase that trains the predictor or, without one, the generator; for so many steps."""
    wanted = ("predictor", "joint") if task.predictor is not None else ("generator",)
    for phase, targets in zip(training.phases, build_targets(training, task), strict=True):
        for target in targets:
            if target.name in wanted:
                phase.steps = steps
                return phase, target
    raise ConfigError(f"training.phases: no phase has a target {' or '.join(wanted)}")


def trained(
    task: SpeechSeparation,
    phase: Phase,
    target: OptimizationTarget,
    training: Training,
    batches: list[dict[str, Any]],
) -> Iterator[int]:
    """Take one step after the other, cycling through the batches; yields the number of steps taken."""
    chosen = set(map(id, target.parameters))
    for parameter in task.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    device = next(task.parameters()).device.type
    for step, batch in enumerate(islice(cycle(batches), phase.steps)):
        task.train()
        with bfloat16(device, training.precision == "bf16"):
            loss = task(batch, target.name).loss / task.count(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(target.parameters, phase.clip or float("inf"))
        target.set_rate(step, phase.steps)
        target.optimizer.step()
        target.optimizer.zero_grad()
        yield step + 1


def reached(
    task: SpeechSeparation, batches: list[dict[str, Any]], sampler: Sampler | None
) -> float:
    """SI-SDRi in dB, mean over the speakers."""
    return separate_all(task.eval(), batches, sampler).gain.mean().item()


def _batches(task: SpeechSeparation, items: list[dict], size: int) -> Iterator[dict[str, Any]]:
    for first in range(0, len(items), size):
        part = items[first : first + size]
        yield task.collate(part, list(range(first, first + len(part))))
