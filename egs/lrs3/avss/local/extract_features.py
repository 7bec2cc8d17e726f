"""Stage 2: audio, mouth crops and face of every clip, in one file per clip."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from voicediff.data.separation.layouts import SPLITS, Problem
from voicediff.data.separation.mixtures import read_list
from voicediff.data.separation.talks import Prepared, prepare, read_talks, write_prepared
from voicediff.errors import ConfigError, DataError
from voicediff.files import write_text
from voicediff.video.faces import detector


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="data folder of stage 1")
    add("--out", type=Path, required=True, help="folder to write: train/ dev/ test/")
    add("--boxes", choices=("auto", "sidecar", "track", "detector"), default="auto",
        help="source of the mouth positions; auto: a sidecar file, else the default of the corpus")  # fmt: skip
    add("--yunet", help="model file (ONNX) of the YuNet detector, instead of the Haar cascade")
    add("--skip-bad", action="store_true", help="leave out clips that have problems")
    add("--nj", type=int, default=1, help="parallel jobs (default %(default)s)")
    return parser


def main(args: argparse.Namespace) -> None:
    detector(args.yunet)  # reports a wrong model file before the extraction
    prepared: dict[str, list[Prepared]] = {}
    problems: list[Problem] = []
    for split in SPLITS:
        talks = read_talks(args.data / split)
        jobs = Parallel(n_jobs=args.nj, return_as="generator", batch_size=4)(
            delayed(prepare)(talk, args.out / split / "clips", args.boxes, args.yunet)
            for talk in talks
        )
        answers = list(tqdm(jobs, split, len(talks), unit="clip", disable=None))
        problems += [answer for answer in answers if isinstance(answer, Problem)]
        prepared[split] = [answer for answer in answers if isinstance(answer, Prepared)]
    report(problems, args.out / "problems.txt", args.skip_bad)
    for split, clips in prepared.items():
        write_prepared(args.out / split, clips)
        for path in sorted((args.data / "lists" / split).glob("*.json")):
            copy_list(path, args.out / split / "lists" / path.name, clips)
        seconds = sum(clip.entry.frames for clip in clips) / 25
        print(f"{split:5}  {len(clips):6} clips  {seconds / 60:8.1f} minutes")


def report(problems: list[Problem], path: Path, skip: bool) -> None:
    """Write every problem on a line, to the file and to stderr; DataError unless `skip` is set."""
    lines = sorted(map(str, problems))
    write_text(path, "".join(f"{line}\n" for line in lines))
    for line in lines:
        print(line, file=sys.stderr)
    if lines and not skip:
        raise DataError(
            f"{len(lines)} clips have problems (listed above and in {path}); "
            "repair them, or leave them out with --skip-bad"
        )


def copy_list(source: Path, target: Path, clips: list[Prepared]) -> None:
    """Copy a list of stage 1 without the mixtures whose clips are missing or too short."""
    made = read_list(source)
    frames = {clip.entry.id: clip.entry.frames for clip in clips}
    needed: dict[str, int] = {}
    for mixture in made.mixtures:
        for part in mixture.sources:
            end = part.start + mixture.frames
            needed[part.clip] = max(needed.get(part.clip, 0), end)
    kept = made.only(name for name, end in needed.items() if frames.get(name, 0) >= end)
    kept.write(target)
    if kept.left_out:
        print(
            f"list {target}: {kept.left_out} mixtures left out, hash {kept.hash}", file=sys.stderr
        )


if __name__ == "__main__":
    try:
        main(arguments().parse_args())
    except (ConfigError, DataError) as error:
        print(f"extract_features.py: {error}", file=sys.stderr)
        sys.exit(2)
