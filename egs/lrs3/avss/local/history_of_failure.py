"""Fault experiments: train a small separator with one fault at a time and measure the effect.

python local/history_of_failure.py --dump dump            # all, about 20 minutes on one core
python local/history_of_failure.py --dump dump --only stft "coarse attention"
python local/history_of_failure.py --draw                 # only figures and tables, from the stored results
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from failures import table
from failures.experiments import EXPERIMENTS, Setup
from failures.figures import draw

from voicediff.errors import DataError
from voicediff.files import write_json

OUT = Path(__file__).parents[4] / "docs" / "figures" / "history_of_failure"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--dump", type=Path, default=Path("dump"), help="prepared corpus (default %(default)s)")
    add("--work", type=Path, default=Path("exp/history_of_failure"),
        help="folder for trained parts (default %(default)s)")  # fmt: skip
    add("--out", type=Path, default=OUT, help="results.json and figures (default: in docs/)")
    add("--only", nargs="+", choices=list(EXPERIMENTS), help="some of the experiments")
    add("--steps", type=int, default=600, help="steps of a training (default %(default)s)")
    add(
        "--warm",
        type=int,
        default=300,
        help="steps of the warm-up of the lip encoder (default %(default)s)",
    )
    add("--seed", type=int, default=1, help="seed of the initial weights (default %(default)s)")
    add("--draw", action="store_true", help="train nothing, draw figures and tables")
    return parser


def main(args: argparse.Namespace) -> None:
    if not args.draw:
        experiment(args)
    results = json.loads((args.out / "results.json").read_text(encoding="utf-8"))
    draw(results, args.out)
    if set(EXPERIMENTS) <= set(results):
        print("\n".join([table.HEAD, *table.rows(results), "", *table.details(results)]))


def experiment(args: argparse.Namespace) -> None:
    if not (args.dump / "test" / "lists" / "own.json").is_file():
        raise DataError(f"{args.dump}: no prepared corpus; run stages 1 and 2 of run.sh first")
    torch.set_num_threads(1)  # equal results on every machine, comparable times
    args.work.mkdir(parents=True, exist_ok=True)
    setup = Setup(args.dump, args.work, args.steps, args.warm, args.seed)
    for name in args.only or EXPERIMENTS:
        entry = EXPERIMENTS[name](setup)
        write_json(args.out / "results.json", {**kept(args.out), name: entry})
        shown = {key: value for key, value in entry.items() if isinstance(value, (int, float))}
        print(f"{name:18}", *(f"{key} {value:g}" for key, value in shown.items()), flush=True)


def kept(out: Path) -> dict:
    path = out / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


if __name__ == "__main__":
    try:
        main(arguments().parse_args())
    except DataError as error:
        print(f"history_of_failure.py: {error}", file=sys.stderr)
        sys.exit(2)
