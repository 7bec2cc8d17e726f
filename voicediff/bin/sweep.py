"""Search options of a configuration: many trainings, one table, one plot of quality against compute.

The grid is a YAML file of overrides: `task.decoder.channels: [8, 16]` for choices,
`training.phases.decoder.optimizer.lr: {low: 1.0e-4, high: 1.0e-2, log: true}` for a range. The same
command resumes where it stopped. Needs the extra: pip install 'voicediff[sweep]'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from voicediff.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="configuration, YAML file")
    parser.add_argument("grid", type=Path, help="what to vary, YAML file")
    parser.add_argument("--train", type=Path, required=True, help="prepared training data")
    parser.add_argument("--dev", type=Path, required=True, help="prepared development data")
    parser.add_argument("--assets", type=Path, help="token list and statistics of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials")
    parser.add_argument("--trials", type=int, default=20, help="number of trainings [%(default)s]")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the search, not of the trainings"
    )


def run(args: argparse.Namespace) -> int:
    from voicediff.training.sweep import Sweep, search

    if args.trials < 1:
        raise ConfigError(f"--trials: expected 1 or more, found {args.trials}")
    sweep = Sweep(args.config, args.grid, args.train, args.dev, args.out, args.assets, args.seed)
    stopped = search(sweep, args.trials, print)
    if stopped:
        print("voicediff sweep: stopped; the same command resumes it", file=sys.stderr)
        return 128 + stopped
    print(args.out / "SWEEP.md")
    return 0
