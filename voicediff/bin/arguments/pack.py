"""Arguments of `voicediff pack`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument("-o", "--out", required=True, type=Path, help="folder to write")
