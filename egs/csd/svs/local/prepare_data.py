#!/usr/bin/env python3
"""Stage 1: data folders, from the Children's Song Dataset, MLP Singer's layout or a generated corpus.

Writes OUT/{train,dev,test}, each with wav.scp, segments, text, utt2spk, score.scp, songs.scp. Without
--csd-root the mini corpus is generated in OUT/CSD. Every problem of the corpus is listed with file,
note and time before anything is written. Finished work with the same options is skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib
from tqdm import tqdm

from voicediff.audio import read_wav, write_wav
from voicediff.corpora.csd import make_corpus
from voicediff.corpora.csd.corpus import VERSION, song_numbers
from voicediff.data.singing.csd import is_csd, survey_csd
from voicediff.data.singing.kaldi import Recording, Utterance, read_folder, write_folder
from voicediff.data.singing.lines import (
    PARTS,
    Split,
    cutting_point,
    reference_phones,
    share_of_slurs,
    utterances_of,
)
from voicediff.data.singing.mlp_singer import is_mlp_singer, survey_mlp_singer
from voicediff.data.singing.songs import Song, Survey
from voicediff.errors import ConfigError, DataError
from voicediff.files import write_json, write_text
from voicediff.text.phones import split_glide
from voicediff.text.pronunciation import (
    PRONOUNCERS,
    Pronouncer,
    phone_errors,
    phones_of,
    pronouncer_name,
)

STAMP = "prepared.json"
COMPARED = 400  # largest number of different lines on which the pronouncer is compared


def main() -> int:
    args = parse()
    try:
        prepare(args)
    except (ConfigError, DataError) as error:
        print(f"prepare_data.py: {error}", file=sys.stderr)
        return 2
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--csd-root",
        default="",
        help="folder with korean/, or with wav/ mid/ txt/; empty: generate",
    )
    add("--out", required=True, type=Path, help="folder to write")
    add("--minutes", type=float, default=30.0, help="size of the generated corpus [30]")
    add("--seed", type=int, default=1, help="of the generated corpus [1]")
    add("--skip-bad", action="store_true", help="leave out songs that have problems")
    add("--dev", nargs="+", default=[], metavar="SONG", help="songs for development [046]")
    add("--test", nargs="+", default=[], metavar="SONG", help="songs for the test [047 to 050]")
    add(
        "--test-from",
        type=float,
        metavar="SECONDS",
        help="of a single recording: start of the test part",
    )
    add("--singer", default="", help="name of the singer [csd, or the folder's name]")
    add(
        "--pronouncer",
        choices=PRONOUNCERS,
        default="rules",
        help="pronunciation that is compared with the corpus' phones [rules]",
    )
    add("--nj", type=int, default=1, help="processes [1]")
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> None:
    options = options_of(args)
    done = finished(args.out, options)
    if done is not None:
        print(f"{args.out}: done already\n{done}")
        return
    root = Path(args.csd_root) if args.csd_root else generate(args)
    survey = examine(root, args.nj)
    (args.out / STAMP).unlink(missing_ok=True)
    report_problems(survey, args)
    parts, remarks = split_songs(survey, args)
    singer = args.singer or ("csd" if is_csd(root) else root.resolve().name)
    lines = write_parts(args.out, parts, singer)
    summary = "\n".join(
        [
            *table(parts, lines),
            *(f"{count} {name}" for name, count in sorted(survey.counts.items())),
            *(f"{number} bad songs left out" for number in [bad_songs(survey)] if number),
            *survey.notes,
            *remarks,
            compare_pronunciation(lines, args.nj, args.pronouncer),
        ]
    )
    write_json(args.out / STAMP, {"options": options, "summary": summary})
    print(summary)


def options_of(args: argparse.Namespace) -> dict:
    """What the output depends on: the options, and the corpus' files where a corpus is given."""
    options = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k != "nj"}
    if not args.csd_root:
        return options | {"corpus": VERSION}
    root = Path(args.csd_root).resolve()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the corpus with --csd-root")
    files = [p.stat() for p in root.rglob("*") if p.is_file()]
    prints = [
        len(files),
        sum(s.st_size for s in files),
        max((s.st_mtime_ns for s in files), default=0),
    ]
    return options | {"csd_root": str(root), "files": prints}


def finished(out: Path, options: dict) -> str | None:
    """The summary of an earlier run with the same options, if its folders are still valid."""
    try:
        stamp = json.loads((out / STAMP).read_text(encoding="utf-8"))
        for part in PARTS:
            read_folder(out / part)
    except (OSError, ValueError, DataError):
        return None
    return stamp["summary"] if stamp.get("options") == options else None


def generate(args: argparse.Namespace) -> Path:
    """Generate the mini corpus, unless it exists with the same options."""
    root, stamp = args.out / "CSD", args.out / "corpus.json"
    options = {"minutes": args.minutes, "seed": args.seed, "version": VERSION}
    if (
        root.is_dir()
        and stamp.is_file()
        and stamp.read_text(encoding="utf-8") == json.dumps(options)
    ):
        return root
    stamp.unlink(missing_ok=True)
    songs = make_corpus(root, args.minutes, args.seed, args.nj)
    count = 2 * len(song_numbers(args.minutes)) if args.minutes > 0 else 0
    for _ in tqdm(songs, "generating the mini corpus", count, unit="song", disable=None):
        pass
    write_text(stamp, json.dumps(options))
    return root


def examine(root: Path, jobs: int) -> Survey:
    """Read and check every song."""
    if is_csd(root):
        surveys: Iterator[Survey] = survey_csd(root, jobs)
    elif is_mlp_singer(root):
        surveys = survey_mlp_singer(root, jobs)
    else:
        raise DataError(
            f"{root}: neither korean/ (Children's Song Dataset) nor wav/ mid/ txt/ (MLP Singer) in it"
        )
    whole = Survey()
    for survey in tqdm(surveys, "checking", unit="song", disable=None):
        whole.add(survey)
    return whole


def report_problems(survey: Survey, args: argparse.Namespace) -> None:
    """Raise DataError with all problems; with --skip-bad list them in OUT/problems.txt instead."""
    survey.require_good(args.skip_bad)
    path = args.out / "problems.txt"
    if survey.problems:
        listed = "\n".join(map(str, survey.problems))
        print(f"{listed}\n{len(survey.problems)} problems, kept in {path}", file=sys.stderr)
        write_text(path, f"{listed}\n")
    else:
        path.unlink(missing_ok=True)


def bad_songs(survey: Survey) -> int:
    return len({problem.song for problem in survey.problems})


def split_songs(
    survey: Survey, args: argparse.Namespace
) -> tuple[dict[str, list[Song]], list[str]]:
    """Songs of each part, and remarks for the summary."""
    if args.test_from is None:
        return Split(tuple(args.dev), tuple(args.test)).parts(survey.songs), []
    if len(survey.songs) != 1:
        raise DataError(
            f"--test-from: {len(survey.songs)} songs; it cuts a single recording, use --test"
        )
    song = survey.songs[0]
    at = cutting_point(song.score, args.test_from)
    train = cut_song(song, 0.0, at, args.out / "recordings" / "train")
    test = cut_song(song, at, song.score.duration, args.out / "recordings" / "test")
    remarks = [
        f"{song.name}: trains on 0 to {at:.2f} s, tests on {at:.2f} to {song.score.duration:.2f} s",
        "dev repeats the last training line, because a single recording has no line to spare",
    ]
    return {"train": [train], "dev": [train], "test": [test]}, remarks


def cut_song(song: Song, start: float, end: float, folder: Path) -> Song:
    """A part of a recording as a recording of its own."""
    wav, rate = read_wav(song.wav, start=start, end=end)
    path = folder / f"{song.name}.wav"
    write_wav(path, wav, rate)
    score = song.score.cut(start, end)
    return replace(
        song, wav=path, score=replace(score, duration=max(len(wav) / rate, score.duration))
    )


def write_parts(out: Path, parts: dict[str, list[Song]], singer: str) -> dict[str, list[Utterance]]:
    """The three data folders; their lines."""
    lines = {
        part: [u for s in songs for u in utterances_of(s, singer)] for part, songs in parts.items()
    }
    if parts["dev"] == parts["train"]:
        lines["dev"] = lines["train"][-1:]
    for part, songs in parts.items():
        write_folder(out / part, [Recording(s.name, s.wav, s.score) for s in songs], lines[part])
    return lines


def table(parts: dict[str, list[Song]], lines: dict[str, list[Utterance]]) -> list[str]:
    """A row for each part: number of songs and lines, duration, notes, pitches."""
    rows = ["part   songs  lines  minutes  longest  notes   slurs  pitches"]
    for part, songs in parts.items():
        scores = [item.score for item in lines[part]]
        pitches = [note.pitch for score in scores for note in score.notes]
        seconds = [item.end - item.start for item in lines[part]]
        rows.append(
            f"{part:5}  {len(songs):5}  {len(scores):5}  {sum(seconds) / 60:7.1f}  "
            f"{max(seconds):5.1f} s  {len(pitches):5}  {100 * share_of_slurs(scores):4.1f} %  "
            f"{min(pitches)} to {max(pitches)}"
        )
    return rows


def compare_pronunciation(
    lines: dict[str, list[Utterance]], jobs: int, pronouncer: Pronouncer
) -> str:
    """The phone error rate of a pronouncer against the corpus' own phones, on different lines."""
    found = {u.text: reference_phones(u.score) for part in lines.values() for u in part}
    known = sorted((text, phones) for text, phones in found.items() if phones and text != "-")
    name = pronouncer_name(pronouncer)
    if not known:
        return f"{name} pronounces the lyrics; the corpus has no phones to compare with"
    every = -(-len(known) // COMPARED)
    chosen = known[::every]
    work = (joblib.delayed(_errors)(chosen[i::jobs], pronouncer) for i in range(jobs))
    with warnings.catch_warnings():
        # the dictionary of g2p is large; joblib takes it for a memory leak and restarts the worker
        warnings.filterwarnings("ignore", message="A worker stopped")
        answers = list(joblib.Parallel(n_jobs=jobs)(work))
    errors, total = (sum(column) for column in zip(*answers, strict=True))
    return (
        f"{name} against the corpus' phones: {100 * errors / total:.2f} % phone errors "
        f"({errors} of {total} phones, {len(chosen)} of {len(known)} different lines)"
    )


def _errors(lines: list[tuple[str, list[str]]], pronouncer: Pronouncer) -> tuple[int, int]:
    errors = total = 0
    for text, phones in lines:
        spoken = [phone for s in phones_of(text, pronouncer) for phone in split_glide(s)]
        errors += phone_errors(phones, spoken)
        total += len(phones)
    return errors, total


if __name__ == "__main__":
    sys.exit(main())
