"""Stage 2: sound, mouth crops and faces of every clip, one file each, read quickly in training."""

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
        help="where mouths are known from; auto: a sidecar file, else as the corpus has it")  # fmt: skip
    add("--yunet", help="model file (ONNX) of the YuNet detector, in place of the Haar cascade")
    add("--skip-bad", action="store_true", help="go on without the clips that have problems")
    add("--nj", type=int, default=1, help="parallel jobs (default %(default)s)")
    return parser


def main(args: argparse.Namespace) -> None:
    detector(args.yunet)  # a wrong model file is said before the work begins
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
    """Every problem on a line, in the file and on the screen; without `skip` they end the stage."""
    lines = sorted(map(str, problems))
    write_text(path, "".join(f"{line}\n" for line in lines))
    for line in lines:
        print(line, file=sys.stderr)
    if lines and not skip:
        raise DataError(
            f"{len(lines)} clips have problems (listed above and in {path}); "
            "mend them or go on without them with --skip-bad"
        )


def copy_list(source: Path, target: Path, clips: list[Prepared]) -> None:
    """The list as stage 1 drew it, less the mixtures whose clips are not there or came out shorter."""
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
