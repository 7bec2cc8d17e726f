"""Arguments of `voicediff sing`."""

from __future__ import annotations

import argparse
from pathlib import Path

from voicediff.pretrained import SINGER
from voicediff.text.pronunciation import PRONOUNCERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "score", type=Path, nargs="?", help="song.mid, .musicxml, .mxl, .ustx or CSD's .csv"
    )
    parser.add_argument("--example", action="store_true", help="sing voicediff's example song")
    parser.add_argument(
        "--model",
        type=Path,
        default=SINGER,
        help="experiment folder [a small synthetic singer that is part of voicediff]",
    )
    parser.add_argument("--lyrics", type=Path, help="text file, if the score has no lyrics")
    parser.add_argument(
        "--pronouncer", choices=PRONOUNCERS, help="how text becomes phones [the experiment's]"
    )
    parser.add_argument("-o", "--out", required=True, type=Path, help="wav file to write")
    parser.add_argument("--transpose", type=int, default=0, help="semitones up")
    parser.add_argument("--tempo", type=float, default=1.0, help="factor, 2 is twice as fast")
    _add_sampling(parser)
    _add_editing(parser)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--steps", type=int, help="network evaluations (NFE); 0 sings the encoder's mean")
    add("--sampler", help="name of another sampler than the experiment's")
    add("--vocoder", help="griffin_lim, harmonic, neural or a folder [the model's own]")
    add("--noise-scale", type=float, help="standard deviation of the noise [the model's]")
    add(
        "--guidance",
        action="append",
        metavar="NAME=SCALE",
        help="classifier-free guidance by condition; repeatable [the model's]",
    )
    add(
        "--shallow",
        type=float,
        metavar="T",
        help="shallow diffusion: start at this t from the encoder's mean",
    )
    add("--seed", type=int, default=0, help="of the noise [%(default)s]")
    add("--device", help="cpu, cuda ... [a GPU if there is one]")


def _add_editing(parser: argparse.ArgumentParser) -> None:
    edit = parser.add_mutually_exclusive_group()
    edit.add_argument(
        "--keep", type=Path, metavar="WAV", help="keep --from ... --to of this take, sing the rest"
    )
    edit.add_argument(
        "--replace", type=Path, metavar="WAV", help="sing --from ... --to anew, keep the rest"
    )
    parser.add_argument("--from", dest="begin", type=float, metavar="S", help="in seconds")
    parser.add_argument("--to", dest="end", type=float, metavar="S", help="in seconds")
