"""The `training:` section of a configuration as dataclasses; their fields are its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from voicediff.errors import ConfigError
from voicediff.experiment import Config
from voicediff.registry import Spec, read_options


@dataclass
class Phase:
    """A phase of training with its own targets, data and optimizers.

    Each phase starts from the averaged weights of the previous one.

    name: shown in logs and used by overrides (`training.phases.NAME.steps=...`).
    targets: optimisation targets of the task, e.g. [discriminator, generator]; each is updated
        once in every step.
    steps: number of updates.
    batch_size: items over all processes; `accumulate` such batches make one update.
    sort_pool: number of updates whose items are sorted by length before they are cut into batches,
        which reduces padding of whole utterances; 1 keeps the random order.
    optimizer, schedule: for all targets; `optimizers` overrides by target.
    clip: largest norm of the gradient, or null.
    freeze: prefixes of parameters that are not trained.
    min_steps: smallest number of steps if `training.minutes` shortens the training.
    data: options of the task's dataset.
    """

    name: str
    targets: list[str]
    steps: int
    batch_size: int = 16
    accumulate: int = 1
    sort_pool: int = 1
    optimizer: Spec = field(default_factory=lambda: {"name": "adamw"})
    optimizers: dict[str, Spec] = field(default_factory=dict)
    schedule: Spec = field(default_factory=lambda: {"name": "constant"})
    clip: float | None = 1.0
    freeze: list[str] = field(default_factory=list)
    min_steps: int = 1
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Average:
    """Exponential moving average of the weights, see `voicediff.training.average`."""

    decay: float = 0.999
    warmup: int = 0


@dataclass
class Training:
    """How a task is trained.

    precision: bf16 computes under autocast; weights, averages and optimizers stay fp32. A processor
        without bf16 instructions computes in fp32.
    workers: data-loading processes per training process; results do not depend on their number.
    validate_every, checkpoint_every, log_every: in steps; the last step does all three.
    validation_items: number of development items for the validation loss.
    previews: number of development items that are sampled for the metrics; pictures and sounds of
        the first `pictures` are logged.
    keep: number of checkpoints to keep.
    minutes: time limit on this machine: all phases are shortened by the same factor if training
        would take longer, see `voicediff.training.budget`; null: no limit.
    """

    phases: list[Phase]
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = 0
    validate_every: int = 1000
    checkpoint_every: int = 500
    log_every: int = 50
    validation_items: int = 64
    previews: int = 8
    pictures: int = 2
    keep: int = 2
    minutes: float | None = None
    ema: Average = field(default_factory=Average)

    def __post_init__(self) -> None:
        _at_least(self, "training", 1, "validate_every", "checkpoint_every", "log_every", "keep")
        _at_least(self, "training", 0, "workers", "validation_items", "previews", "pictures")
        if self.minutes is not None and self.minutes <= 0:
            raise ConfigError(f"training.minutes: expected more than 0, found {self.minutes}")
        if not self.phases:
            raise ConfigError("training.phases: empty; name at least one phase")
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ConfigError(f"training.phases: a name occurs twice in {', '.join(names)}")
        for number, phase in enumerate(self.phases):
            at = f"training.phases[{number}]"
            _at_least(phase, at, 1, "steps", "batch_size", "accumulate", "sort_pool", "min_steps")
            if not phase.targets:
                raise ConfigError(f"{at}.targets: empty; name at least one target of the task")


def read_training(config: Config) -> Training:
    """The checked `training:` section, also stored in `config` with all defaults."""
    training = read_options(Training, config.training, "training")
    config.training = training
    return training


def _at_least(section: Any, at: str, least: int, *names: str) -> None:
    for name in names:
        if getattr(section, name) < least:
            raise ConfigError(
                f"{at}.{name}: expected at least {least}, found {getattr(section, name)}"
            )
