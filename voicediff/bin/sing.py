"""Sing a song: a MIDI, MusicXML or USTX file and lyrics in, a wav file out."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from voicediff import examples, experiment
from voicediff.audio import write_wav
from voicediff.bin.arguments.sing import add_arguments as add_arguments
from voicediff.errors import ConfigError
from voicediff.inference.editing import Recording
from voicediff.inference.singing import Singer
from voicediff.inference.vocoding import find_vocoder
from voicediff.music import read_score
from voicediff.music.score import Score
from voicediff.registry import build
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.text.lyrics import numbers_of


def run(args: argparse.Namespace) -> None:
    use_example(args)
    loaded = experiment.load(args.model, device=args.device)
    task: SingingSynthesis = loaded.task
    if args.pronouncer:
        task.tokenizer.pronouncer = args.pronouncer
    for line in numbers_of(args.lyrics) if args.lyrics else []:
        print(line, file=sys.stderr)
    score = read_score(args.score, args.lyrics).transpose(args.transpose).stretch(args.tempo)
    warn_of_range(score, task.pitch_range)
    sampler = None
    if args.steps != 0:
        spec = {"name": args.sampler} if args.sampler else loaded.sampler
        if not args.sampler and args.steps is not None:
            spec = loaded.config.sampler
        elif not args.sampler and loaded.recommended:
            print(f"sampler: {spec.get('name')} as recommended in {loaded.recommended}")
        sampler = build("sampler", spec, at="--sampler")
        if args.steps is not None:
            if args.steps < 0:
                raise ConfigError(f"--steps: wants 0 or more, found {args.steps}")
            sampler = sampler.with_nfe(args.steps)
    vocoder = find_vocoder(args.vocoder, task.mel, args.model)
    vocoder = vocoder.vocoder.to(next(task.parameters()).device)
    look = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}]"
    with tqdm(total=score.duration, desc=args.out.name, bar_format=look) as bar:
        singer = Singer(
            task,
            sampler,
            vocoder,
            args.seed,
            args.noise_scale,
            read_guidance(args.guidance),
            args.shallow,
            kept_recording(args, task),
            progress=lambda seconds: bar.update(min(seconds, bar.total - bar.n)),
        )
        write_wav(args.out, singer.wav(score), task.mel.sample_rate)
    print(f"{args.out}: {score.duration:.1f} s")


def use_example(args: argparse.Namespace) -> None:
    """Put the song that comes with voicediff in place of the score where --example asks for it."""
    if args.example == (args.score is not None):
        raise ConfigError("give either a score or --example")
    if args.example:
        args.score, args.lyrics = examples.MIDI, args.lyrics or examples.WORDS


def read_guidance(assignments: list[str] | None) -> dict[str, float] | None:
    """`["text=0.5", ...]` as scales by condition; None where nothing is said."""
    if assignments is None:
        return None
    scales = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            scales[name] = float(value)
        except ValueError:
            raise ConfigError(f"--guidance {assignment}: is written NAME=SCALE") from None
    return scales


def kept_recording(args: argparse.Namespace, task: SingingSynthesis) -> Recording | None:
    """The take that --keep or --replace names, with what is kept of it."""
    path = args.keep or args.replace
    if (path is None) != (args.begin is None) or (path is None) != (args.end is None):
        raise ConfigError("--keep and --replace each want both --from S and --to S")
    if path is None:
        return None
    return Recording.read(path, task.mel, args.begin, args.end, inside=args.keep is not None)


def warn_of_range(score: Score, trained: tuple[int, int]) -> None:
    """Say which notes the model never heard, and which transposition would bring them in."""
    low, high = trained
    outside = [note for note in score.notes if not low <= note.pitch <= high]
    if not outside:
        return
    first = outside[0]
    print(
        f"{len(outside)} of {len(score.notes)} notes lie outside the trained range {low} to {high}"
        f" (first: {first.pitch} at {first.start:.2f} s); {_suggestion(score, low, high)}",
        file=sys.stderr,
    )


def _suggestion(score: Score, low: int, high: int) -> str:
    pitches = [note.pitch for note in score.notes]

    def inside(shift: int) -> int:
        return sum(low <= pitch + shift <= high for pitch in pitches)

    best = max(range(-36, 37), key=lambda shift: (inside(shift), -abs(shift)))
    if inside(best) == len(pitches):
        return f"--transpose {best:+d} brings all inside"
    if best == 0:
        return "no transposition brings more inside"
    return f"--transpose {best:+d} brings {inside(best)} of {len(pitches)} inside"
