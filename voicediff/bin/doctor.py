"""Sanity checks for a trained model: one check for each known kind of failure.

Prints a table (check, measured, limit, passed) and writes doctor.json into the experiment folder.
Exit status: 0 all passed, 1 a check failed, 2 bad input. All checks apply to separation models (task
avss). For singing models (svs) and vocoders: finite outputs, outputs that do not depend on the batch,
the loss by bin of t, features with the mel settings of the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from voicediff import experiment
from voicediff.bin.arguments.doctor import add_arguments as add_arguments
from voicediff.bin.decode_mixtures import read_mixtures
from voicediff.data.separation.mixtures import MixtureList
from voicediff.diagnostics.check import Check, failed, table
from voicediff.diagnostics.overfit import overfit
from voicediff.diagnostics.separation import separation_checks
from voicediff.diagnostics.singing import singing_checks, vocoder_checks
from voicediff.diagnostics.training_progress import training_checks
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.experiment import Experiment
from voicediff.files import write_json
from voicediff.registry import build
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.tasks.vocoder import Vocoding


def run(args: argparse.Namespace) -> int:
    for name in ("batch", "overfit_steps"):
        if getattr(args, name) < 1:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option}: expected 1 or more, found {getattr(args, name)}")
    loaded = experiment.load(args.model, device=args.device)
    examination = Examination(args, loaded)
    checks = []
    for check in examination.checks():
        checks.append(check)
        print(f"done: {check.title}", file=sys.stderr)
    write_json(args.model / "doctor.json", plain(examination.facts(checks)))
    print(table(checks))
    wrong = failed(checks)
    count = sum(check.passed is not None for check in checks)
    print(f"\n{args.model / 'doctor.json'}: {count - len(wrong)} of {count} checks passed")
    return 1 if wrong else 0


class Examination:
    """The checks of one model on one folder of data."""

    def __init__(self, args: argparse.Namespace, loaded: Experiment):
        self.args, self.loaded, self.task = args, loaded, loaded.task
        if not isinstance(self.task, (SpeechSeparation, SingingSynthesis, Vocoding)):
            name = loaded.config.task["name"]
            raise ConfigError(
                f"{args.model}: there are checks for the tasks avss, svs and vocoder, not for {name}"
            )
        self.spec = {"name": args.sampler} if args.sampler else loaded.sampler
        self.sampler = self._sampler()
        self.mixtures = None
        if isinstance(self.task, SpeechSeparation):
            self.mixtures = read_mixtures(args.dump, args.list, args.mixtures)
        elif args.overfit:
            raise ConfigError("--overfit: is for separation models (task avss)")

    def checks(self) -> Iterator[Check]:
        args, task = self.args, self.task
        if isinstance(task, SpeechSeparation):
            yield from separation_checks(
                self.loaded, self.mixtures, self.sampler, args.seed, args.batch
            )
            if args.overfit:
                yield overfit(
                    self.loaded, self.mixtures, self.sampler, args.overfit_steps, progress=_report
                )
            return
        yield from training_checks(self.loaded)
        if isinstance(task, SingingSynthesis):
            yield from singing_checks(task, args.dump, self.sampler)
        else:
            yield from vocoder_checks(task, args.dump)

    def facts(self, checks: list[Check]) -> dict[str, Any]:
        """The content of doctor.json."""
        found = {
            "passed": not failed(checks),
            "weights": experiment.weights_hash(self.args.model),
            "step": self.loaded.step,
            "dump": str(self.args.dump),
            "sampler": self.spec,
            "seed": self.args.seed,
        }
        if self.mixtures is not None:
            made = MixtureList(self.args.list, self.args.dump.name, tuple(self.mixtures.mixtures))
            found |= {"list": made.name, "list_hash": made.hash, "mixtures": len(made.mixtures)}
        return found | {"checks": [check.to_dict() for check in checks]}

    def _sampler(self) -> Sampler | None:
        """None without a generator."""
        if isinstance(self.task, Vocoding) or self.task.diffusion is None:
            return None
        if not self.spec:
            raise ConfigError(f"{self.args.model}: names no sampler; give one with --sampler")
        return build("sampler", self.spec, at="sampler")


def plain(content: Any) -> Any:
    """For JSON: nan and infinity become texts."""
    return json.loads(json.dumps(content, default=str), parse_constant=str)


def _report(step: int, gain: float) -> None:
    print(f"  step {step}: {gain:.1f} dB", file=sys.stderr)
