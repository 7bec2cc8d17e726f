"""Build all parts of configurations and print their sizes, without training.

With --assets the vocabulary and statistics of prepared data are used, else the task's defaults.
With --print the whole configuration is shown, including `base:`, overrides and defaults.
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="+", type=Path, metavar="CONF", help="YAML files")
    parser.add_argument("--assets", type=Path, help="folder with token list and statistics")
    parser.add_argument("--print", action="store_true", help="also print the whole configuration")
    parser.add_argument(
        "--train-args", default="", metavar="'A.B=C ...'", help="overrides, separated by spaces"
    )


def run(args: argparse.Namespace) -> None:
    from voicediff.config import dump_yaml
    from voicediff.experiment import read_config
    from voicediff.training.options import read_training
    from voicediff.training.start import build_loggers
    from voicediff.training.targets import build_targets

    for path in args.config:
        config = read_config(path, shlex.split(args.train_args))
        task = config.build_task(args.assets)
        config.build_sampler()
        training = read_training(config)
        build_loggers(config)
        build_targets(training, task)
        print(f"{path}: ok")
        if args.print:
            print(dump_yaml(config.resolved()))
        for part, size in parameter_counts(task).items():
            print(f"  {part:40} {size:>13,}")
        for phase in training.phases:
            print(f"  phase {phase.name}: {phase.steps} steps of {', '.join(phase.targets)}")


def parameter_counts(task) -> dict[str, int]:
    """Number of parameters by part (two levels of the module tree), and in all."""
    counts = Counter()
    for name, parameter in task.named_parameters():
        counts[".".join(name.split(".")[:-1][:2]) or name] += parameter.numel()
    return {**counts, "all": sum(counts.values())}
