#!/usr/bin/env python3
"""Stage 2: log-mel spectrograms, F0, token list and statistics of a prepared corpus.

Reads DATA/{train,dev,test} and writes OUT/{train,dev,test} and OUT/assets. Finished, unchanged
utterances are skipped, so the stage may be interrupted and repeated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from voicediff.audio import MelSpec
from voicediff.data.singing.features import extract
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import read_config
from voicediff.registry import Spec, build
from voicediff.text import Tokenizer


def main() -> int:
    args = parse()
    try:
        spec, tokenizer = read_settings(args.config)
        found = extract(args.data, args.out, spec, tokenizer, args.nj, args.dask_scheduler or None)
    except (ConfigError, DataError) as error:
        print(f"extract_features.py: {error}", file=sys.stderr)
        return 2
    minutes = found.frames / spec.frame_rate / 60
    voiced = 100 * found.voiced_frames / max(found.frames, 1)
    print(
        f"{args.out}: train has {found.utterances} utterances, {minutes:.1f} min, {voiced:.0f} % "
        f"voiced, MIDI {found.pitch_range[0]} to {found.pitch_range[1]}, mel {spec.hash}"
    )
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config",
        required=True,
        type=Path,
        help="training configuration, for task.mel and task.tokenizer",
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of stage 1")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--nj", type=int, default=1, help="processes on this machine [1]")
    parser.add_argument(
        "--dask-scheduler", metavar="ADDRESS", help="use this Dask cluster, e.g. tcp://host:8786"
    )
    return parser.parse_args()


def read_settings(config: Path) -> tuple[MelSpec, Tokenizer]:
    """The mel description and the tokenizer that a configuration names."""
    task = read_config(config).task
    mel = task.get("mel", {})
    if not isinstance(mel, Mapping):
        raise ConfigError(f"{config}: task.mel: expected a mapping, found {mel!r}")
    try:
        spec = MelSpec.from_dict(mel, "task.mel")
    except (ConfigError, DataError) as error:
        raise ConfigError(f"{config}: {error}") from error
    tokenizer = Spec(task.get("tokenizer", {"name": "phone"}), "task.tokenizer")
    return spec, build("tokenizer", tokenizer)


if __name__ == "__main__":
    sys.exit(main())
