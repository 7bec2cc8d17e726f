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
    parser.add_argument(
        "--example", action="store_true", help="sing the song that comes with voicediff"
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=SINGER,
        help="experiment folder [a small synthetic singer that comes with voicediff]",
    )
    parser.add_argument("--lyrics", type=Path, help="text file, if the score holds no lyrics")
    parser.add_argument(
        "--pronouncer", choices=PRONOUNCERS, help="how words become sounds [the experiment's]"
    )
    parser.add_argument("-o", "--out", required=True, type=Path, help="wav file to write")
    parser.add_argument("--transpose", type=int, default=0, help="semitones up")
    parser.add_argument("--tempo", type=float, default=1.0, help="times as fast")
    parser.add_argument("--steps", type=int, help="network calls; 0 sings the encoder's mean")
    parser.add_argument("--sampler", help="another sampler than the experiment's, by name")
    parser.add_argument(
        "--vocoder", help="griffin_lim, harmonic, neural or a folder [the model's own]"
    )
    parser.add_argument(
        "--noise-scale", type=float, help="standard deviation of noise [the model's]"
    )
    parser.add_argument(
        "--guidance",
        action="append",
        metavar="NAME=SCALE",
        help="move away from what the model sings without the condition; repeatable [the model's]",
    )
    parser.add_argument(
        "--shallow", type=float, metavar="T", help="begin at this t from the encoder's mean"
    )
    edit = parser.add_mutually_exclusive_group()
    edit.add_argument(
        "--keep", type=Path, metavar="WAV", help="keep --from ... --to of this take, sing the rest"
    )
    edit.add_argument(
        "--replace", type=Path, metavar="WAV", help="sing --from ... --to anew, keep the rest"
    )
    parser.add_argument("--from", dest="begin", type=float, metavar="S", help="in seconds")
    parser.add_argument("--to", dest="end", type=float, metavar="S", help="in seconds")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another rendition")
    parser.add_argument("--device", help="cpu, cuda ... [a GPU if there is one]")
