"""Arguments of `voicediff choose-vocoder`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="the acoustic model's folder")
    parser.add_argument("--dump", required=True, type=Path, help="features, e.g. dump/dev")
    parser.add_argument(
        "--vocoder",
        nargs="+",
        default=["griffin_lim", "harmonic"],
        metavar="NAME",
        help="parts and folders to compare [griffin_lim harmonic]",
    )
    parser.add_argument("--select", metavar="NAME", help="keep this one without measuring")
    parser.add_argument("--nfe", type=int, help="network evaluations (NFE) [the sampler's own]")
    parser.add_argument("--seconds", type=float, default=60.0, help="of lines to measure [60]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
