"""Separate the speakers in a video: one track for each face.

Detects and tracks the faces of INPUT, and writes for each person NAME.wav (16 kHz, as long as the
input) and NAME.mp4 (the person framed, with that track), and people.json: boxes, times, confidences.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from voicediff.bin.arguments.separate import add_arguments as add_arguments
from voicediff.inference.separator import Separator
from voicediff.report.people import require_own

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}]"
SAME = (
    "boxes", "people", "yunet", "min_face", "start", "end", "sampler", "noise_scale", "samples",
    "share_residual", "keep_unseen", "ambiguity_threshold", "seed",
)  # fmt: skip


def run(args: argparse.Namespace) -> None:
    folder = args.out.resolve()
    require_own(folder)  # before anything takes long
    separator = Separator.load(args.model, args.device)
    with Bars() as bars:
        talk = separator.separate(args.input, **separate_options(args), progress=bars)
        talk.save(folder, not args.no_video, args.residual, progress=bars)
    for line in talk.warnings:
        print(f"warning: {line}", file=sys.stderr)
    for speaker in talk.people:
        print(f"{folder / speaker.name}.wav: {speaker.entry.in_words()}")


def separate_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Separator.separate`."""
    options = {name: getattr(args, name) for name in SAME}
    return options | {"faces": args.face, "steps": args.nfe, "synchronise": not args.no_sync}


class Bars:
    """One progress bar for each phase."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.what = ""

    def __call__(self, what: str, seconds: float, total: float) -> None:
        if self.bar is None or what != self.what:
            self.close()
            self.bar = tqdm(total=total, desc=f"{what:14}", bar_format=BAR)
            self.what = what
        self.bar.update(min(seconds, self.bar.total - self.bar.n))

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
