"""Arguments of `voicediff report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from voicediff.report.settings import NFE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument(
        "--data", required=True, type=Path, help="features or prepared clips, e.g. dump/dev"
    )
    parser.add_argument("--samplers", default="", help="names, separated by commas [all]")
    parser.add_argument("--grids", default="", help="names, separated by commas [all]")
    parser.add_argument(
        "--nfe", default=",".join(map(str, NFE)), help="values of NFE to compare [%(default)s]"
    )
    parser.add_argument("--items", type=int, help="the first lines or mixtures only [all]")
    parser.add_argument("--vocoder", help="singing: also measure the output of this vocoder")
    parser.add_argument(
        "--list", default="own", help="separation: list of mixtures below lists/ [%(default)s]"
    )
    parser.add_argument("--metric", help="the metric that decides [frechet, si_sdri]")
    parser.add_argument(
        "--margin",
        type=float,
        default=0.05,
        help="tolerance relative to the best value [%(default)s]",
    )
    parser.add_argument(
        "--noise-scale", type=float, help="standard deviation of the noise [the model's]"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=40.0,
        help="singing: batch size, seconds of lines [%(default)s]",
    )
    parser.add_argument(
        "--batch", type=int, default=8, help="separation: batch size, mixtures [%(default)s]"
    )
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
