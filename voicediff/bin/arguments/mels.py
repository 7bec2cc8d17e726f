"""Arguments of `voicediff mels`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="the acoustic model's folder")
    parser.add_argument("--dump", required=True, type=Path, help="features, e.g. dump/train")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--nfe", type=int, help="network evaluations (NFE), 0: mu [the sampler's own]"
    )
    parser.add_argument("--batch", type=int, default=8, help="batch size, lines [8]")
    parser.add_argument("--lines", type=int, help="number of lines at most, evenly spaced [all]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
