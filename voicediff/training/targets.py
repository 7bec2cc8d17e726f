"""Optimisation targets of a phase: the parameters, the optimizer and the schedule of each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from voicediff.config import only_keys
from voicediff.errors import ConfigError
from voicediff.registry import build
from voicediff.tasks.base import Task
from voicediff.training.optimizers import Optimizer
from voicediff.training.options import Phase, Training
from voicediff.training.schedules import Schedule


@dataclass
class OptimizationTarget:
    """One optimisation target of a phase, e.g. the generator or the discriminator.

    `base_rates` are the learning rates of the optimizer's groups.
    """

    name: str
    parameters: list[nn.Parameter]
    optimizer: Optimizer
    schedule: Schedule
    base_rates: list[float]

    def set_rate(self, step: int, steps: int) -> float:
        """Set the learning rates for a step of the phase; returns that of the first group."""
        factor = self.schedule(step, steps)
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        return self.base_rates[0] * factor


def build_targets(training: Training, task: Task) -> list[list[OptimizationTarget]]:
    """The targets of every phase; built before training, so that all mistakes are reported at once."""
    return [
        [_target(phase, name, task, f"training.phases[{number}]") for name in phase.targets]
        for number, phase in enumerate(training.phases)
    ]


def _target(phase: Phase, name: str, task: Task, at: str) -> OptimizationTarget:
    only_keys(dict.fromkeys(phase.targets), task.targets, f"{at}.targets")
    only_keys(phase.optimizers, phase.targets, f"{at}.optimizers")
    parameters = _parameters(task, task.targets[name], phase.freeze, f"{at}.targets.{name}")
    place = f"{at}.optimizers.{name}" if name in phase.optimizers else f"{at}.optimizer"
    optimizer = build(
        "optimizer", phase.optimizers.get(name, phase.optimizer), at=place, parameters=parameters
    )
    schedule = build("schedule", phase.schedule, at=f"{at}.schedule")
    rates = [group["lr"] for group in optimizer.param_groups]
    return OptimizationTarget(name, parameters, optimizer, schedule, rates)


def _parameters(
    task: Task, prefixes: tuple[str, ...], freeze: list[str], at: str
) -> list[nn.Parameter]:
    named = {name: p for name, p in task.named_parameters() if p.requires_grad}
    for prefix in freeze:
        if not any(name.startswith(prefix) for name in named):
            raise ConfigError(
                f"{at.partition('.targets')[0]}.freeze: no parameter begins with {prefix!r}; "
                f"they begin with {', '.join(sorted({n.partition('.')[0] for n in named}))}"
            )
    found = [
        p
        for name, p in named.items()
        if name.startswith(prefixes) and not name.startswith(tuple(freeze))
    ]
    if not found:
        raise ConfigError(f"{at}: no parameters to train; all are frozen or absent")
    return found
