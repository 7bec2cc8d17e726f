"""Arguments of `voicediff robustness`."""

from __future__ import annotations

import argparse

from voicediff.bin.arguments.decode_mixtures import add_common_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nfe",
        type=int,
        help="network evaluations (NFE); 0: the predictor alone [the sampler's own]",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=1,
        help="posterior samples, whose agreement is the confidence [%(default)s]",
    )
    add_common_arguments(parser)
