"""Training progress: optimiser steps, and the age of the averaged weights."""

from __future__ import annotations

from voicediff.diagnostics.check import Check, below, reported
from voicediff.diagnostics.detectors import start_left
from voicediff.experiment import Experiment
from voicediff.training.average import decay_at
from voicediff.training.options import Average, Training, read_training

LEFT = 1.0  # % of the initial weights of a phase


def training_checks(loaded: Experiment) -> list[Check]:
    """Steps of each phase, and the share of its initial weights that remains in the average."""
    training = read_training(loaded.config)
    done = steps_done(training, loaded.step)
    listed = ", ".join(f"{name} {steps}" for name, steps in done.items())
    steps = reported("steps", "optimiser steps", f"{loaded.step}: {listed}", **done)
    counts = [count for count in done.values() if count]
    left = [100 * start_left(lambda n: decay_at(n, training.ema), count - 1) for count in counts]
    worst = max(left, default=100.0)
    ages = ", ".join(f"{age(training.ema, count):.0f}" for count in counts)
    return [
        steps,
        reported("ema", "EMA: mean age of the weights, by phase", f"{ages or 'no'} updates"),
        below("start", "EMA: initial weights left, at most", worst, LEFT, "%", 2),
    ]


def steps_done(training: Training, step: int) -> dict[str, int]:
    """Updates of each phase after `step` updates in all."""
    done = {}
    for phase in training.phases:
        done[phase.name] = min(phase.steps, step)
        step -= done[phase.name]
    return done


def age(options: Average, updates: int) -> float:
    """Mean age of the averaged weights in updates."""
    mean = 0.0
    for update in range(1, updates):
        mean = decay_at(update, options) * (mean + 1)
    return mean
