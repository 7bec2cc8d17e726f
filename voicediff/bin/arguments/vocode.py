"""Arguments of `voicediff vocode`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="INPUT", help="mel.npy, features.npz or in.wav")
    parser.add_argument("-o", "--out", required=True, type=Path, help="wav file to write")
    parser.add_argument("--vocoder", help="a name or a folder [the model's own, else griffin_lim]")
    parser.add_argument("--model", type=Path, help="acoustic model whose mels these are")
    parser.add_argument(
        "--f0", type=Path, metavar="NPY", help="F0 (T,) in Hz of the mel, 0 where unvoiced"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--device", default="cpu", help="cpu, cuda ... [cpu]")
