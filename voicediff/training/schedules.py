"""Learning-rate schedules: pure functions of the step, without a state to save."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from voicediff.registry import register


class Schedule(ABC):
    """The factor on the learning rate at a step of a phase.

    Every schedule begins with a linear warm-up of `warmup` steps, from 1 / (warmup + 1).
    """

    def __init__(self, warmup: int = 0):
        self.warmup = warmup

    def __call__(self, step: int, steps: int) -> float:
        """The factor at `step` (0 to steps - 1) of a phase of `steps` steps."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        return self.after((step - self.warmup) / max(steps - self.warmup, 1))

    @abstractmethod
    def after(self, progress: float) -> float:
        """The factor after the warm-up, `progress` in [0, 1)."""


@register("schedule", "constant")
class Constant(Schedule):
    """A constant rate after the warm-up."""

    def after(self, progress: float) -> float:
        return 1.0


@register("schedule", "cosine")
class Cosine(Schedule):
    """Cosine decay to `end` (Loshchilov and Hutter 2017, without restarts); for short trainings."""

    def __init__(self, warmup: int = 0, end: float = 0.0):
        super().__init__(warmup)
        self.end = end

    def after(self, progress: float) -> float:
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


@register("schedule", "linear")
class Linear(Schedule):
    """Linear decay to `end`."""

    def __init__(self, warmup: int = 0, end: float = 0.0):
        super().__init__(warmup)
        self.end = end

    def after(self, progress: float) -> float:
        return 1 - (1 - self.end) * progress


@register("schedule", "exponential")
class Exponential(Schedule):
    """Exponential decay to `end`, as usual for GAN vocoders."""

    def __init__(self, warmup: int = 0, end: float = 0.1):
        super().__init__(warmup)
        self.end = end

    def after(self, progress: float) -> float:
        return self.end**progress
