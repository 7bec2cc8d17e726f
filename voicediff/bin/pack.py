"""Copy what inference needs of an experiment into a small folder, averaged weights in half precision.

Checkpoints, logs and raw weights are left out; the model's own vocoder is included. The folder is
used like the experiment's, e.g. `voicediff sing --model PACKED`, also as a start for fine-tuning.
"""

from __future__ import annotations

import argparse

from voicediff import experiment
from voicediff.bin.arguments.pack import add_arguments as add_arguments
from voicediff.files import whole_folder
from voicediff.inference.vocoding import CHOICE, FOLDER, pack


def run(args: argparse.Namespace) -> None:
    experiment.load(args.model)  # raises where the experiment is damaged
    own = args.model / FOLDER
    with whole_folder(args.out) as new:
        experiment.pack(args.model, new)
        if (args.model / CHOICE).is_file():
            (new / CHOICE).write_bytes((args.model / CHOICE).read_bytes())
        if (own / "config.yaml").is_file():
            (new / FOLDER).mkdir()
            experiment.pack(own, new / FOLDER)
        elif own.is_dir():
            pack(own, new / FOLDER)
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{args.out}: {size / 1e6:.1f} MB")
