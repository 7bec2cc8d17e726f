"""Arguments of `voicediff separate`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("input", type=Path, help="video, or a sound file with --face")
    add("--model", required=True, type=Path, help="experiment folder")
    add("-o", "--out", required=True, type=Path, help="folder to write")
    add("--boxes", type=Path, help="who is where: JSON or CSV; no faces are looked for then")
    add(
        "--face",
        action="append",
        default=[],
        type=Path,
        metavar="PICTURE",
        help="somebody who is heard but not seen; repeatable",
    )
    add("--people", type=int, help="how many people there are [found out]")
    add(
        "--yunet",
        type=Path,
        metavar="ONNX",
        help="YuNet's model file: finds more than Haar's faces",
    )
    add(
        "--smallest",
        type=float,
        default=0.12,
        help="face / shorter side of the picture [%(default)s]",
    )
    add("--start", type=float, default=0.0, metavar="S", help="begin at this second")
    add("--end", type=float, metavar="S", help="end at this second")
    add("--nfe", type=int, help="network calls; 0 takes the predictor alone [the model's]")
    add("--sampler", help="another sampler than the experiment's, by name")
    add("--noise-scale", type=float, help="standard deviation of noise [the model's]")
    add("--samples", type=int, help="how often to draw, for the confidence [2 with a generator]")
    add("--consistent", action="store_true", help="tracks sum to the input while anybody is seen")
    add("--residual", action="store_true", help="also write what the tracks leave of the input")
    add("--keep-unseen", action="store_true", help="do not silence people while they are not seen")
    add(
        "--sure",
        type=float,
        metavar="SHARE",
        help="how little two tracks must share to stay as they are; 0: all do [the model's]",
    )
    add("--no-sync", action="store_true", help="take the video as it is, early or late")
    add("--no-video", action="store_true", help="write no mp4")
    add("--seed", type=int, default=0, help="another seed, other noise")
    add("--device", help="cpu, cuda ... [a GPU if there is one]")
