"""Arguments of `voicediff decode-mixtures`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nfe", default="0,1,2,4,8", help="network calls to compare, 0 is the predictor"
    )
    add_common_arguments(parser)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, mixtures and how they are separated, as for `voicediff robustness`."""
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument("--dump", required=True, type=Path, help="prepared clips, e.g. dump/test")
    parser.add_argument("--list", default="own", help="list of mixtures below lists/ [%(default)s]")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--mixtures", type=int, help="the first of the list only [all]")
    parser.add_argument("--sampler", help="another sampler than the experiment's, by name")
    parser.add_argument(
        "--noise-scale", type=float, help="standard deviation of noise [the model's]"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8, help="mixtures at once [%(default)s]")
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
