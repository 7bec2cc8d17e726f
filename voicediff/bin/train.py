"""Train the model of a configuration; the same command resumes a training that was stopped.

Several GPUs: torchrun --nproc-per-node 4 -m voicediff train ... (or accelerate launch).
Ctrl-C or SIGTERM writes a checkpoint and stops.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="YAML file")
    parser.add_argument(
        "--train-args",
        default="",
        metavar="'A.B=C ...'",
        help="overrides of the configuration, separated by spaces, "
        "e.g. 'seed=2 training.phases.decoder.steps=100'",
    )
    parser.add_argument("--train", type=Path, required=True, help="prepared training data")
    parser.add_argument(
        "--dev", type=Path, help="prepared development data; without it there is no validation"
    )
    parser.add_argument("--assets", type=Path, help="token list and statistics of the data")
    parser.add_argument("--exp", type=Path, required=True, help="experiment folder")
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="EXP",
        help="fine-tune: start from the weights of another experiment, as far as they fit",
    )
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, mps (Apple GPU) [CUDA if there is one, else cpu]"
    )
    parser.add_argument(
        "--resume-with-new-config",
        action="store_true",
        help="resume although the configuration differs from the folder's",
    )


def run(args: argparse.Namespace) -> int:
    from voicediff.training.start import Request, train

    request = Request(
        config=args.config,
        overrides=shlex.split(args.train_args),
        train=args.train,
        dev=args.dev,
        assets=args.assets,
        experiment=args.exp,
        init_from=args.init_from,
        new_config=args.resume_with_new_config,
        device=args.device,
    )
    stopped = train(request)
    if stopped:
        print("voicediff train: stopped; the same command resumes it", file=sys.stderr)
    return 128 + stopped if stopped else 0
