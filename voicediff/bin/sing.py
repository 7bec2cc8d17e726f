"""Sing a song: a MIDI, MusicXML or USTX file and lyrics in, a wav file out."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from voicediff import examples
from voicediff.audio import write_wav
from voicediff.bin.arguments.sing import add_arguments as add_arguments
from voicediff.errors import ConfigError
from voicediff.inference.singer import Singer, Take, numbers
from voicediff.music.score import Score

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}]"


def run(args: argparse.Namespace) -> None:
    use_example(args)
    options = sing_options(args)
    singer = Singer.load(args.model, args.device)
    score = singer.read(args.score, args.lyrics, args.transpose, args.tempo)
    for line in (*numbers(args.lyrics), *singer.range_warnings(score)):
        print(line, file=sys.stderr)
    loaded = singer.experiment
    if loaded.recommended and not args.sampler and args.steps is None:
        name = (loaded.sampler or {}).get("name")
        print(f"sampler: {name} as recommended in {loaded.recommended}")
    write(args, singer, score, options)


def write(args: argparse.Namespace, singer: Singer, score: Score, options: dict[str, Any]) -> None:
    with tqdm(total=score.duration, desc=args.out.name, bar_format=BAR) as bar:

        def progress(seconds: float) -> None:
            bar.update(min(seconds, bar.total - bar.n))

        pieces = singer.stream(score, progress=progress, **options)
        write_wav(args.out, pieces, singer.sample_rate)
    print(f"{args.out}: {score.duration:.1f} s")


def use_example(args: argparse.Namespace) -> None:
    """Take the example song as the score if --example is given."""
    if args.example == (args.score is not None):
        raise ConfigError("give either a score or --example")
    if args.example:
        args.score, args.lyrics = examples.MIDI, args.lyrics or examples.WORDS


def sing_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Singer.stream`."""
    same = ("steps", "seed", "sampler", "vocoder", "noise_scale", "shallow", "pronouncer")
    options = {name: getattr(args, name) for name in same}
    return options | {"guidance": read_guidance(args.guidance)} | read_take(args)


def read_guidance(assignments: list[str] | None) -> dict[str, float] | None:
    """`["text=0.5", ...]` as scales by condition; None where none is given."""
    if assignments is None:
        return None
    scales = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            scales[name] = float(value)
        except ValueError:
            raise ConfigError(f"--guidance {assignment}: expected NAME=SCALE") from None
    return scales


def read_take(args: argparse.Namespace) -> dict[str, Take]:
    """The part of a recording that --keep or --replace names, as `keep` or `replace`."""
    path = args.keep or args.replace
    if (path is None) != (args.begin is None) or (path is None) != (args.end is None):
        raise ConfigError("--keep and --replace need both --from S and --to S")
    if path is None:
        return {}
    return {"keep" if args.keep else "replace": Take(path, args.begin, args.end)}
