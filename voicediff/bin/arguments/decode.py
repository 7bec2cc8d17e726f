"""Arguments of `voicediff decode`."""

from __future__ import annotations

import argparse
from pathlib import Path

from voicediff.bin.arguments.inference import add_inference_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="experiment folder")
    parser.add_argument("--data", required=True, type=Path, help="data folder, e.g. data/test")
    parser.add_argument("--dump", required=True, type=Path, help="its features, e.g. dump/test")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--vocoder", help="griffin_lim, harmonic, neural or a folder [the model's own]"
    )
    parser.add_argument(
        "--compare", metavar="NAMES", help="other vocoders to compare, '' for none [all available]"
    )
    parser.add_argument(
        "--nfe",
        default="0,1,2,4,10,50",
        help="numbers of network evaluations (NFE) to compare; 0: mu",
    )
    parser.add_argument("--sampler", help="name of another sampler than the experiment's")
    parser.add_argument(
        "--noise-scale", type=float, help="standard deviation of the noise [the model's]"
    )
    parser.add_argument(
        "--guidance",
        action="append",
        metavar="NAME=SCALE",
        help="classifier-free guidance by condition; repeatable [the model's]",
    )
    parser.add_argument(
        "--shallow",
        type=float,
        metavar="T",
        help="shallow diffusion: start at this t from the encoder's mean",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--batch-seconds", type=float, default=40.0, help="batch size, seconds of lines"
    )
    parser.add_argument("--songs", type=int, default=4, help="whole songs to sing, 0 for none [4]")
    parser.add_argument(
        "--examples", nargs="*", default=[], metavar="TITLE", help="sing these songs instead"
    )
    parser.add_argument("--shard", metavar="I/N", help="only part I of N, for parallel jobs")
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
    add_inference_arguments(parser)
