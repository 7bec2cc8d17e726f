"""Arguments of `voicediff doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument(
        "--dump", required=True, type=Path, help="prepared data, e.g. dump/test (or dump/dev)"
    )
    parser.add_argument("--list", default="own", help="list of mixtures below lists/ [%(default)s]")
    parser.add_argument("--mixtures", type=int, help="the first of the list only [all]")
    parser.add_argument("--sampler", help="name of another sampler than the experiment's")
    parser.add_argument("--seed", type=int, default=0, help="of the noise [%(default)s]")
    parser.add_argument("--batch", type=int, default=8, help="batch size, mixtures [%(default)s]")
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
    parser.add_argument(
        "--overfit",
        action="store_true",
        help="also train a new model of this configuration on four mixtures; takes minutes",
    )
    parser.add_argument(
        "--overfit-steps", type=int, default=500, help="number of steps at most [%(default)s]"
    )
