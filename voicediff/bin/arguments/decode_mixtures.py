"""Arguments of `voicediff decode-mixtures`."""

from __future__ import annotations

import argparse
from pathlib import Path

from voicediff.bin.arguments.inference import add_inference_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nfe",
        default="0,1,2,4,8",
        help="numbers of network evaluations (NFE) to compare; 0: the predictor",
    )
    parser.add_argument("--shard", metavar="I/N", help="only part I of N, for parallel jobs")
    add_common_arguments(parser)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, mixtures and sampling, shared with `voicediff robustness`."""
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument("--dump", required=True, type=Path, help="prepared clips, e.g. dump/test")
    parser.add_argument("--list", default="own", help="list of mixtures below lists/ [%(default)s]")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--mixtures", type=int, help="the first of the list only [all]")
    parser.add_argument("--sampler", help="name of another sampler than the experiment's")
    parser.add_argument(
        "--noise-scale", type=float, help="standard deviation of the noise [the model's]"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8, help="batch size, mixtures [8]")
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
    add_inference_arguments(parser)
