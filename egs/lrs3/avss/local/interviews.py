#!/usr/bin/env python3
"""Generated interviews of test speakers, separated with `voicediff separate` and scored.

    python local/interviews.py --model exp/train_mini --count 12 --out exp/train_mini/interviews

Two or three speakers of the mini corpus' test split talk in one video; one enters late, one leaves
it (and is silent) for a while. Scores: number of people, time of their entrance, and SI-SDR
improvement of each track where the person is visible.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicediff.audio import read_wav
from voicediff.bin.main import main as voicediff
from voicediff.corpora.lrs3 import ClipPlan, make_clip, plan
from voicediff.corpora.lrs3.interview import Guest, Interview, write_interview
from voicediff.metrics.distortion import si_sdr
from voicediff.video.constants import FPS, HOP
from voicediff.video.people import spans_of

PLACES = {2: ((60, 90), (370, 90)), 3: ((10, 100), (222, 60), (430, 100))}


@dataclass
class Row:
    """The scores of one interview.

    Attributes:
        guests, found: number of people, true and found.
        onsets: error of the detected entrance in seconds, of the detected guests.
        gaps_right: number of guests with the right number of gaps.
        gained: SI-SDR improvement of each guest's track in dB.
        same_voice: number of warnings of two tracks with the same speaker.
    """

    guests: int
    found: int
    onsets: list[float]
    gaps_right: int
    gained: list[float]
    same_voice: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="seed of the interviews")
    parser.add_argument("--minutes", type=float, default=30.0, help="size of the corpus [%(default)s]")
    parser.add_argument("--corpus-seed", type=int, default=1)
    parser.add_argument("--oracle", action="store_true", help="give the true mouths with --boxes")
    parser.add_argument("--nfe", type=int)
    args = parser.parse_args()
    clips = [p for p in plan(args.minutes, args.corpus_seed) if p.split == "test"]
    rows = []
    for number in range(args.count):
        draw = np.random.default_rng([args.seed, number])
        interview = composed(clips, 2 + number % 2, draw)
        rows.append(tried(interview, args.out / f"{number:02d}", args))
        print(json.dumps(vars(rows[-1])), flush=True)
    print(json.dumps(summary(rows), indent=1))


def composed(clips: list[ClipPlan], count: int, draw: np.random.Generator) -> Interview:
    """An interview in which the last guest enters 0.5 to 1.5 s late and the first has a gap."""
    speakers = draw.permutation(sorted({clip.speaker for clip in clips}))[:count]
    chosen = [draw.choice([c for c in clips if c.speaker == s]) for s in speakers]
    guests = []
    for place, clip in zip(PLACES[count], chosen, strict=True):
        late = int(draw.integers(13, 38)) if len(guests) == count - 1 else 0
        made = make_clip(clip)
        start = int(draw.integers(20, 30))
        hidden = ((start, start + 20),) if not guests and len(made) > 75 else ()
        level = 20 * np.log10(0.08 / made.sound.std())
        gain = float(level + draw.uniform(-2.5, 2.5))
        guests.append(Guest(made, late, place, 200, hidden=hidden, gain=gain))
    frames = max(guest.enters + len(guest.clip) for guest in guests)
    return Interview(tuple(guests), frames)


def tried(interview: Interview, folder: Path, args: argparse.Namespace) -> Row:
    """Write, separate and measure one interview."""
    folder.mkdir(parents=True, exist_ok=True)
    video, out = folder / "interview.mp4", folder / "separated"
    write_interview(video, interview)
    command = ["separate", str(video), "--model", str(args.model), "-o", str(out), "--residual"]
    if args.nfe is not None:
        command += ["--nfe", str(args.nfe)]
    if args.oracle:
        known = [
            {"name": f"person{i + 1}", "mouth": [None if np.isnan(b[0]) else list(b) for b in own]}
            for i, own in enumerate(interview.mouths())
        ]
        (folder / "boxes.json").write_text(json.dumps({"fps": FPS, "people": known}))
        command += ["--boxes", str(folder / "boxes.json")]
    if voicediff(command) != 0:
        return Row(len(interview.guests), 0, [], 0, [], 0)
    return measured(interview, out)


def measured(interview: Interview, out: Path) -> Row:
    found = json.loads((out / "people.json").read_text(encoding="utf-8"))
    row = Row(len(interview.guests), len(found["people"]), [], 0, [], len(found["same_voice"]))
    voices, mouths = interview.voices(), interview.mouths()
    mixture = voices.sum(0)
    for guest, voice, mouth in zip(interview.guests, voices, mouths, strict=True):
        person = nearest(found["people"], mouth)
        if person is None:
            continue
        spans = spans_of(guest.visible(interview.frames))
        row.onsets.append(person["first_seen"] - spans[0][0] / FPS)
        row.gaps_right += len(person["gaps"]) == len(spans) - 1
        track, _ = read_wav(out / person["wav"])
        here = np.repeat(guest.visible(interview.frames), HOP)
        track = np.pad(track, (0, max(0, len(here) - len(track))))[: len(here)]
        row.gained.append(si_sdr(voice[here], track[here]) - si_sdr(voice[here], mixture[here]))
    return row


def nearest(people: list[dict], mouth: np.ndarray) -> dict | None:
    """The person at the place of a guest's mouth (T, 4), or None."""
    best, least = None, 60.0
    for person in people:
        boxes = [b or [np.nan] * 4 for b in person["boxes"] or []][: len(mouth)]
        boxes = np.array(boxes, float).reshape(-1, 4)
        there = np.isfinite(boxes[:, 0]) & np.isfinite(mouth[: len(boxes), 0])
        if not there.any():
            continue
        middle = boxes[:, :2] + boxes[:, 2:] * (0.5, 0.8)
        truth = mouth[: len(boxes), :2] + mouth[: len(boxes), 2:] / 2
        away = float(np.linalg.norm(middle - truth, axis=1)[there].mean())
        if away < least:
            best, least = person, away
    return best


def summary(rows: list[Row]) -> dict[str, float]:
    onsets = np.array([x for row in rows for x in row.onsets])
    gained = np.array([x for row in rows for x in row.gained])
    return {
        "interviews": len(rows),
        "people": sum(row.guests for row in rows),
        "right_number_of_people": sum(row.found == row.guests for row in rows),
        "people_at_their_place": len(onsets),
        "onset_within_40_ms": int((np.abs(onsets) <= 0.0401).sum()),
        "onset_worst_ms": round(1000 * float(np.abs(onsets).max(initial=0)), 1),
        "gaps_right": sum(row.gaps_right for row in rows),
        "si_sdri_mean_db": round(float(gained.mean()), 2),
        "si_sdri_median_db": round(float(np.median(gained)), 2),
        "si_sdri_least_db": round(float(gained.min()), 2),
        "warned_of_the_same_voice": sum(row.same_voice for row in rows),
    }


if __name__ == "__main__":
    main()
