"""Arguments of `voicediff score-mixtures`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--decoded", required=True, type=Path, help="output folder of `voicediff decode-mixtures`"
    )
    parser.add_argument(
        "--examples", type=int, default=6, help="mixtures on the page [%(default)s]"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel jobs")
