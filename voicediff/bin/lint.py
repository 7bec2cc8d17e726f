"""Find notes without a syllable, syllables without a note, and other faults of a song."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from voicediff.errors import DataError
from voicediff.music.cross_check import lint_csd, songs_of
from voicediff.music.lint import check_score, lint_song, write_repaired
from voicediff.music.problems import RANGE, Problem
from voicediff.music.reading import READERS, read_score
from voicediff.music.repair import repair_csd
from voicediff.text.lyrics import numbers_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{__doc__} Exit status: 0 no problems, 1 problems, 2 unusable files."
    parser.add_argument(
        "song", type=Path, help="MIDI, MusicXML or USTX file; a CSD tree, or a csv file in one"
    )
    parser.add_argument(
        "lyrics", type=Path, nargs="?", help="words, a line for each phrase [lyrics of the song]"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write song.fixed.mid and words.fixed.txt to the same folder; for a CSD tree, fixed/",
    )
    parser.add_argument("--json", action="store_true", help="print the problems as a JSON list")
    low, high = RANGE
    parser.add_argument("--low", type=int, default=low, help=f"lowest MIDI pitch [{low}]")
    parser.add_argument("--high", type=int, default=high, help=f"highest MIDI pitch [{high}]")


def run(args: argparse.Namespace) -> int:
    written: list[Path] = []
    if args.song.suffix.lower() in READERS:
        findings = lint_song(args.song, args.lyrics, (args.low, args.high))
        for line in numbers_of(args.lyrics) if args.lyrics else []:
            print(line, file=sys.stderr)
        problems = findings.problems
        if args.fix and problems:
            written = write_repaired(findings, args.song, args.lyrics)
    else:
        problems, written = _lint_other(args)
    _report(problems, args)
    if written and not args.json:
        print("written:", ", ".join(map(str, written)))
    return 1 if problems else 0


def _lint_other(args: argparse.Namespace) -> tuple[list[Problem], list[Path]]:
    if args.lyrics:
        raise DataError(f"{args.song}: has lyrics of its own; leave {args.lyrics} out")
    pitch_range = (args.low, args.high)
    if args.song.suffix.lower() == ".json":
        return check_score(read_score(args.song), pitch_range), []
    problems, written = [], []
    for song in songs_of(args.song):
        found = lint_csd(song, pitch_range)
        problems += found
        if args.fix and found:
            written += repair_csd(song, song.parent.parent / "fixed")
    return problems, written


def _report(problems: list[Problem], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps([problem.to_dict() for problem in problems], ensure_ascii=False, indent=1))
        return
    for problem in problems:
        print(problem)
    count = len(problems)
    print(f"{args.song}: {count or 'no'} problem{'' if count == 1 else 's'}")
