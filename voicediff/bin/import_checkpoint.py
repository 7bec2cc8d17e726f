"""Convert a checkpoint of another project.

SOURCE is grad-tts, sgmse, sgmse-v2, sgmse-48k, storm, avdiffuss, diffsinger or hifigan. The folder
DIR gets import.yaml (the parts, the process, the features) and one safetensors file for each part;
see docs/checkpoints.md. No code in FILE is executed.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="the project the checkpoint comes from")
    parser.add_argument("file", metavar="FILE", type=Path, help="its checkpoint")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="argument of the network's constructor in training, e.g. nf=96; repeatable",
    )
    parser.add_argument(
        "--raw", action="store_true", help="use the raw weights instead of the averaged ones"
    )


def run(args: argparse.Namespace) -> None:
    from voicediff.config import parse_yaml
    from voicediff.errors import ConfigError
    from voicediff.importing import convert, read_checkpoint, save

    options = {}
    for assignment in args.option:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--option {assignment}: expected NAME=VALUE")
        options[name] = parse_yaml(value, f"--option {name}")
    imported = convert(args.source, read_checkpoint(args.file), options, ema=not args.raw)
    save(imported, args.out, args.source, args.file.name)
    for part in imported.parts:
        size = sum(tensor.numel() for tensor in part.state_dict.values())
        print(
            f"{args.out}/{part.role}.safetensors: {part.kind} {part.spec['name']}, {size:,} weights"
        )
    if imported.left_out:
        print(f"left out: {', '.join(imported.left_out)}")
