"""Arguments of `voicediff score`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--decoded", required=True, type=Path, help="output folder of `voicediff decode`"
    )
    parser.add_argument("--data", required=True, type=Path, help="data folder, e.g. data/test")
    parser.add_argument("--dump", required=True, type=Path, help="its features, e.g. dump/test")
    parser.add_argument(
        "--examples",
        nargs="*",
        default=[],
        metavar="TITLE",
        help="songs for the page, by title; several also in one argument, separated by ';' "
        "[the first test songs]",
    )
    parser.add_argument(
        "--reference-f0",
        choices=("auto", "pyin", "tracker"),
        default="auto",
        help="F0 of the recordings: by librosa's pyin in the range of the notes, or by the tracker "
        "used for the generated songs; auto takes the exact F0 of a generated corpus, else pyin",
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel jobs")
