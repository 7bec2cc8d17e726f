"""Separate the voices of a video: one track for each face in it.

Finds and follows the faces of INPUT, and writes for each person NAME.wav (16 kHz, as long as the
input) and NAME.mp4 (the person framed, the track as sound), and people.json: boxes, times, confidences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from voicediff import experiment
from voicediff.bin.arguments.separate import add_arguments as add_arguments
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import Experiment
from voicediff.files import whole_folder
from voicediff.inference.separation import Piece, Scene, Separator, write_tracks
from voicediff.metrics.duplicates import TrackSimilarity
from voicediff.registry import build
from voicediff.report.people import People, Separated, require_own, write_people
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.boxes import read_people
from voicediff.video.constants import FPS, HOP, SAMPLE_RATE
from voicediff.video.faces import FaceDetector, HaarFaces, YunetFaces
from voicediff.video.footage import Cut, Footage, cut_people, open_footage, pictured
from voicediff.video.people import Person, nobody, people_of, present
from voicediff.video.rendering import write_marked
from voicediff.video.tracking import Follower

LOOK = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}]"
DOUBTFUL = 0.5  # a face that the detector sees in a smaller share of its looks may be none


def run(args: argparse.Namespace) -> None:
    check_options(args)
    args.out = args.out.resolve()
    require_own(args.out)
    loaded = experiment.load(args.model, device=args.device)
    if not isinstance(loaded.task, SpeechSeparation):
        name = loaded.config.task["name"]
        raise ConfigError(f"{args.model}: separates nothing (task avss is needed, found {name})")
    if args.sure is not None:
        loaded.task.sure = args.sure
    sampler = sampler_of(args, loaded)
    detector = YunetFaces(args.yunet) if args.yunet else HaarFaces(args.smallest)
    footage = open_footage(args.input, args.start, args.end)
    people = find_people(args, footage, detector)
    cuts = cut_people(watched(footage, "cutting mouths"), people) if people else []
    cuts += [pictured(path, detector) for path in args.face]
    warn_of_model(args, loaded.task, footage)
    people = named(people + [nobody(path.stem) for path in args.face])
    separator = Separator(
        loaded.task, sampler, args.seed, args.noise_scale,
        consistent=args.consistent, synchronise=not args.no_sync,
    )  # fmt: skip
    if sampler is not None:
        separator.samples = args.samples or 2
    write(args, footage, scene_of(footage, people, cuts, args.keep_unseen), people, separator)


def check_options(args: argparse.Namespace) -> None:
    """Raises ConfigError."""
    for name, least in (("people", 1), ("samples", 1), ("nfe", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name}: wants {least} or more, found {value}")
    if args.boxes and args.people:
        raise ConfigError("--boxes says how many people there are; leave --people out")
    if args.start < 0 or (args.end is not None and args.end <= args.start):
        raise ConfigError(f"--start {args.start:g} --end {args.end}: nothing lies between")
    if args.sure is not None and not 0 <= args.sure <= 1:
        raise ConfigError(f"--sure: wants a share from 0 to 1, found {args.sure:g}")
    if not 0 < args.smallest < 1:
        raise ConfigError(f"--smallest: wants a share between 0 and 1, found {args.smallest:g}")


def sampler_of(args: argparse.Namespace, loaded: Experiment) -> Sampler | None:
    """None for the predictor alone. Raises ConfigError for what the model cannot do."""
    if args.nfe == 0 or loaded.task.diffusion is None:
        if loaded.task.predictor is None:
            raise ConfigError(f"--nfe 0: {args.model} has no predictor")
        if args.nfe or args.samples not in (None, 1):
            wanted = f"--nfe {args.nfe}" if args.nfe else f"--samples {args.samples}"
            raise ConfigError(
                f"{wanted}: wants a generator; the predictor's answer is always the same"
            )
        return None
    spec = {"name": args.sampler} if args.sampler else loaded.sampler
    if not spec:
        raise ConfigError(f"{args.model}: names no sampler; give one with --sampler")
    sampler = build("sampler", spec, at="--sampler")
    return sampler if args.nfe is None else sampler.with_nfe(args.nfe)


def find_people(args: argparse.Namespace, footage: Footage, detector: FaceDetector) -> list[Person]:
    """Who is seen. Raises DataError where nobody is, and no picture is given."""
    if not footage.moving:
        if not args.face:
            raise DataError(
                f"{footage.path}: has no pictures; say who is heard with --face PICTURE, one for each"
            )
        return []
    if args.boxes:
        return read_people(args.boxes, footage.frames, args.start)
    follower = Follower(detector)
    for image, shown in watched(footage, "finding faces"):
        follower.see(image, shown)
    people = people_of(follower.finish(), follower.index, args.people)
    if not people and not args.face:
        raise DataError(
            f"{footage.path}: no face is seen for 0.5 s or longer; try --smallest 0.06 for small "
            "faces or --yunet for turned ones, or say where the faces are with --boxes"
        )
    if args.people and len(people) < args.people:
        say(f"{args.people} people asked for, {len(people)} found")
    return people


def scene_of(footage: Footage, people: list[Person], cuts: list[Cut], keep_unseen: bool) -> Scene:
    """People of pictures alone take part always; others while they are seen, by default."""
    everywhere = np.ones(footage.frames, bool)
    there = [
        everywhere if keep_unseen or not len(person.mouth.valid) else present(person.mouth.valid)
        for person in people
    ]
    return Scene(
        footage.sound,
        [c.mouth for c in cuts],
        [c.valid[: len(c.mouth)] for c in cuts],
        np.stack([c.face for c in cuts]),
        there,
    )


def write(
    args: argparse.Namespace,
    footage: Footage,
    scene: Scene,
    people: list[Person],
    separator: Separator,
) -> None:
    """All files of the result; one folder, whole or not at all."""
    likeness = TrackSimilarity(len(people), SAMPLE_RATE)
    with whole_folder(args.out) as new:
        wavs = [new / f"{person.name}.wav" for person in people]
        with bar_of(footage, "separating") as bar:
            separator.progress = lambda seconds: bar.update(min(seconds, bar.total - bar.n))
            pieces = compared(separator.pieces(scene), scene, likeness)
            write_tracks(wavs, pieces, new / "residual.wav" if args.residual else None)
        if footage.moving and not args.no_video:
            faces = [person.face for person in people]
            names = [person.name for person in people]
            videos = [wav.with_suffix(".mp4") for wav in wavs]
            write_marked(videos, watched(footage, "writing videos"), faces, names, wavs)
        result = People(
            args.input, args.start, len(footage.sound), args.model, separator.seed,
            described(people, scene, separator, footage, args),
            [(people[i].name, people[j].name, level) for i, j, level in likeness.same()],
            footage.troubles, args.residual,
        )  # fmt: skip
        write_people(new, result)
    report(args, result)


def compared(pieces: Iterator[Piece], scene: Scene, likeness: TrackSimilarity) -> Iterator[Piece]:
    """Hand the pieces on, and compare the tracks."""
    for piece in pieces:
        first, samples = piece.start // HOP, piece.voices.shape[1]
        last = -(-(piece.start + samples) // HOP)
        there = scene.gates(first, last)[:, piece.start - first * HOP :][:, :samples] > 0.5
        likeness.add(piece.voices, there)
        yield piece


def described(
    people: list[Person],
    scene: Scene,
    separator: Separator,
    footage: Footage,
    args: argparse.Namespace,
) -> list[Separated]:
    """What is said of each person, times of the whole recording."""
    found = []
    for number, person in enumerate(people):
        levels = [
            (
                c.start + args.start,
                min(c.end, footage.seconds) + args.start,
                float(c.values[number]),
            )
            for c in separator.confidences
        ]
        is_framed = footage.moving and not args.no_video
        found.append(Separated(person, is_framed, args.start, levels, separator.lags[number]))
    return found


def report(args: argparse.Namespace, result: People) -> None:
    """A line for each person on the screen, and warnings."""
    for trouble in result.troubles:
        say(f"{trouble}; separated what is there")
    for one, other, level in result.same_voice:
        say(
            f"warning: {one} and {other} have the same voice (SI-SDR {level:.1f} dB between their "
            "tracks): the model could not tell them apart, or they are one person"
        )
    for person in result.people:
        if person.person.found < DOUBTFUL:
            say(
                f"warning: {person.person.name}: the detector saw this face in {person.person.found:.0%} of its "
                "looks; if it is none, say how many people there are (--people) or where (--boxes)"
            )
        print(f"{args.out / person.person.name}.wav: {person.in_words()}")


def warn_of_model(args: argparse.Namespace, task: SpeechSeparation, footage: Footage) -> None:
    """Say in one line what the model cannot know."""
    if args.face and task.identity is None:
        say(f"warning: {args.model} has no identity encoder: pictures cannot tell voices apart")
    if footage.moving and task.lips is None:
        say(f"warning: {args.model} has no lip encoder: the video cannot tell voices apart")


def watched(footage: Footage, what: str) -> Iterator[tuple[np.ndarray, bool]]:
    """The pictures, with a progress bar."""
    with bar_of(footage, what) as bar:
        for picture in footage.pictures():
            yield picture
            bar.update(min(1 / FPS, bar.total - bar.n))


def bar_of(footage: Footage, what: str) -> tqdm:
    return tqdm(total=footage.seconds, desc=f"{what:14}", bar_format=LOOK)


def named(people: list[Person]) -> list[Person]:
    """Everybody with a name of their own that a file can have."""
    taken: set[str] = set()
    for number, person in enumerate(people):
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in person.name)
        wanted = safe or f"person{number + 1}"
        name, more = wanted, 2
        while name in taken | {"residual", "people"}:
            name, more = f"{wanted}_{more}", more + 1
        person.name = name
        taken.add(name)
    return people


def say(line: str) -> None:
    print(line, file=sys.stderr)
