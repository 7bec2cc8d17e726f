#!/usr/bin/env python3
"""How long a step of training takes, phase by phase, and what keeping freed memory spares.

    python tools/benchmark/steps.py egs/lrs3/avss/conf/train_mini.yaml --train egs/lrs3/avss/dump/mini_30min_seed1/train

Steps are tried on fresh copies of the model as `training.minutes` tries them, each round in a process of its
own, with and without freed memory kept in turns; the smallest time of all rounds counts. The table is Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from voicediff import experiment
from voicediff.training import budget
from voicediff.training.memory import retain_freed_memory
from voicediff.training.options import read_training
from voicediff.training.trainer import Folders, accelerator

HANDED_BACK, KEPT = "handed back", "kept"


def main() -> None:
    args = parse()
    if args.once:
        print(json.dumps(pace(args, args.once == KEPT)))
        return
    best: dict[str, dict[str, float]] = {HANDED_BACK: {}, KEPT: {}}
    for _ in range(args.rounds):
        for way, found in best.items():
            for phase, seconds in in_another_process(way).items():
                found[phase] = min(seconds, found.get(phase, seconds))
    print("| phase | freed memory handed back | kept | ratio |\n|---|---:|---:|---:|")
    for phase, seconds in best[HANDED_BACK].items():
        kept = best[KEPT][phase]
        print(f"| {phase} | {1e3 * seconds:.0f} ms | {1e3 * kept:.0f} ms | {seconds / kept:.2f} |")


def in_another_process(way: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--once", way]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def pace(args: argparse.Namespace, kept: bool) -> dict[str, float]:
    """Seconds a step by phase, in this process."""
    if kept and not retain_freed_memory():
        sys.exit("freed memory can be kept on Linux with glibc alone")
    config = experiment.read_config(args.config, args.train_args)
    training = read_training(config)
    budget.TRIAL_STEPS = args.steps
    with tempfile.TemporaryDirectory() as scratch:
        folders = Folders(args.train, None, Path(scratch))
        process = accelerator(training.precision)
        found, stopped = budget.measure(config, training, folders, args.assets, process)
    if stopped:
        sys.exit(stopped)
    return found.steps


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", type=Path)
    add("train_args", nargs="*", help="overrides, e.g. training.precision=fp32")
    add("--train", required=True, type=Path, help="prepared data of training")
    add("--assets", type=Path, help="assets of the task, where it has any")
    add("--steps", type=int, default=40, help="of every phase and round [%(default)s]")
    add("--rounds", type=int, default=3, help="[%(default)s]")
    add("--once", choices=(HANDED_BACK, KEPT), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
