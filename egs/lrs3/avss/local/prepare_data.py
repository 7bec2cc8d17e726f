"""Stage 1: data folders and mixture lists, from LRS3, VoxCeleb2 or GRID, or the generated mini LRS3."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from voicediff.corpora.lrs3 import plan, write_planned
from voicediff.corpora.lrs3.people import person
from voicediff.data.separation.layouts import (
    SPLITS,
    Found,
    Problem,
    assigned,
    read_grid,
    read_lrs3,
    read_vox2,
)
from voicediff.data.separation.mixtures import PROTOCOLS, Drawer, draw_list
from voicediff.data.separation.talks import entries_of, frames_of, write_talks
from voicediff.data.tables import read_table, write_table
from voicediff.errors import ConfigError, DataError
from voicediff.files import write_text


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="data folder to write: train/ dev/ test/ lists/")
    add("--lrs3-root", default="", help="LRS3: pretrain/ trainval/ test/")
    add("--vox2-root", default="", help="VoxCeleb2: [dev|test/] mp4/ and wav|m4a|aac/")
    add("--grid-root", default="", help="GRID: <speaker>/*.mpg, or clips alone")
    add("--clip2spk", help="GRID: table `clip speaker` of clips outside their speaker's folder")
    add(
        "--splits",
        help="table `speaker train|dev|test`, `*` for all others, instead of the default split",
    )
    add(
        "--corpus",
        type=Path,
        default=Path("downloads"),
        help="folder in which mini LRS3 is generated",
    )
    add("--minutes", type=float, default=30.0, help="size of mini LRS3 (default %(default)s)")
    add("--speakers", type=int, help="speakers in mini LRS3 (default 120 for 30 minutes)")
    add("--videos", choices=("test", "all", "none"), default="test",
        help="parts of mini LRS3 written as mp4; of the others only crops are rendered (default %(default)s)")  # fmt: skip
    add(
        "--seed",
        type=int,
        default=1,
        help="seed of mini LRS3, splits and lists (default %(default)s)",
    )
    add("--num-speakers", type=int, default=2, help="speakers in a mixture (default %(default)s)")
    add("--mixtures", type=int, default=96, help="mixtures in each list (default %(default)s)")
    add("--noise", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="add pink noise with a level in this range, in dB relative to the first speaker")  # fmt: skip
    add("--skip-bad", action="store_true", help="leave out clips that have problems")
    add("--nj", type=int, default=1, help="parallel jobs (default %(default)s)")
    return parser


def main(args: argparse.Namespace) -> None:
    talks, problems = found_clips(args)
    if args.splits:
        talks = assigned(talks, read_table(args.splits))
    jobs = Parallel(n_jobs=args.nj, return_as="generator")(delayed(frames_of)(t) for t in talks)
    answers = list(tqdm(jobs, "checking", len(talks), unit="clip", disable=None))
    problems += [answer for answer in answers if isinstance(answer, Problem)]
    report(problems, args.out / "problems.txt", args.skip_bad)
    frames = {t.id: n for t, n in zip(talks, answers, strict=True) if not isinstance(n, Problem)}
    talks = [t for t in talks if t.id in frames]
    for split in SPLITS:
        part = [t for t in talks if t.split == split]
        write_talks(args.out / split, part, frames)
        seconds = sum(frames[t.id] for t in part) / 25
        people = len({t.speaker for t in part})
        print(f"{split:5}  {len(part):6} clips  {people:5} speakers  {seconds / 60:8.1f} minutes")
        if part and split != "train":
            write_lists(args, split, entries_of(part, frames))


def found_clips(args: argparse.Namespace) -> Found:
    roots = {"lrs3": args.lrs3_root, "vox2": args.vox2_root, "grid": args.grid_root}
    given = [name for name, root in roots.items() if root]
    if len(given) > 1:
        raise ConfigError(f"one corpus at a time, found {' and '.join(given)}; give one --*-root")
    if not given:
        return read_lrs3(generated(args), dev_share=1.0)
    if given == ["lrs3"]:
        return read_lrs3(args.lrs3_root, seed=args.seed)
    if given == ["vox2"]:
        return read_vox2(args.vox2_root, seed=args.seed)
    known = read_table(args.clip2spk) if args.clip2spk else None
    return read_grid(args.grid_root, seed=args.seed, speakers=known)


def generated(args: argparse.Namespace) -> Path:
    """The folder of mini LRS3; missing clips are generated."""
    clips = plan(args.minutes, args.seed, args.speakers)
    people = len({clip.speaker for clip in clips})
    root = args.corpus / f"mini_lrs3_{args.minutes:g}min_{people}people_seed{args.seed}"
    as_video = {"all": ("pretrain", "trainval", "test"), "test": ("test",), "none": ()}[args.videos]
    write_table(
        root / "spk2gender", {p.id: p.gender for p in (person(n, args.seed) for n in range(people))}
    )
    jobs = Parallel(n_jobs=args.nj, return_as="generator", batch_size=4)(
        delayed(write_planned)(root, clip, clip.split in as_video) for clip in clips
    )
    for _ in tqdm(jobs, "mini LRS3", len(clips), unit="clip", disable=None):
        pass
    return root


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


def write_lists(args: argparse.Namespace, split: str, entries: list) -> None:
    for name, protocol in PROTOCOLS.items():
        drawer = Drawer(entries, protocol, args.num_speakers)
        noise = tuple(args.noise) if args.noise else None
        try:
            made = draw_list(drawer, name, split, args.mixtures, args.seed, noise)
        except DataError as error:
            print(f"no list {split}/{name}: {error}", file=sys.stderr)
            continue
        made.write(args.out / "lists" / split / f"{name}.json")
        short = f", {len(drawer.too_short)} clips too short" if drawer.too_short else ""
        print(f"       list {name}: {len(made.mixtures)} mixtures, hash {made.hash}{short}")


if __name__ == "__main__":
    try:
        main(arguments().parse_args())
    except (ConfigError, DataError) as error:
        print(f"prepare_data.py: {error}", file=sys.stderr)
        sys.exit(2)
