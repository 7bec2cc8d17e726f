"""Arguments of `voicediff separate`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="video, or a sound file with --face")
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument("-o", "--out", required=True, type=Path, help="folder to write")
    _add_people(parser)
    _add_sampling(parser)
    _add_output(parser)


def _add_people(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--boxes", type=Path, help="JSON or CSV file of face boxes; no faces are searched then")
    add(
        "--face",
        action="append",
        default=[],
        type=Path,
        metavar="PICTURE",
        help="picture of a person who speaks but is not visible; repeatable",
    )
    add("--people", type=int, help="number of visible people [as many as are found]")
    add(
        "--yunet",
        type=Path,
        metavar="ONNX",
        help="YuNet's model file; it finds more faces than OpenCV's Haar cascade",
    )
    add(
        "--min-face",
        type=float,
        default=0.12,
        metavar="SHARE",
        help="smallest face, as a share of the image's shorter side [%(default)s]",
    )
    add("--start", type=float, default=0.0, metavar="S", help="first second to separate")
    add("--end", type=float, metavar="S", help="last second to separate")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nfe", type=int, help="network evaluations; 0: predictor alone [the model's]")
    add("--sampler", help="name of another sampler than the experiment's")
    add("--noise-scale", type=float, help="standard deviation of the noise [the model's]")
    add(
        "--samples",
        type=int,
        help="posterior samples for the confidence [2 with a generator, else 1]",
    )
    add("--seed", type=int, default=0, help="of the noise [%(default)s]")
    add("--device", help="cpu, cuda ... [a GPU if there is one]")


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--share-residual",
        action="store_true",
        help="split the residual among the tracks, so that they sum to the input",
    )
    add("--residual", action="store_true", help="also write the input minus all tracks")
    add(
        "--keep-unseen",
        action="store_true",
        help="do not silence people while they are not visible",
    )
    add(
        "--ambiguity-threshold",
        type=float,
        metavar="SHARE",
        help="tracks that differ by less than this share of their energy are ambiguous: each gets "
        "some of what the mixture holds of both; 0: none is [the model's]",
    )
    add("--no-sync", action="store_true", help="do not correct a constant offset of the video")
    add("--no-video", action="store_true", help="write no mp4")
