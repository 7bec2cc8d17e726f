#!/usr/bin/env python3
"""Long videos: peak memory and time of 1 and 10 minutes of two people, separated.

    python tools/benchmark/long_video.py --model egs/lrs3/avss/exp/train_mini

Repeats one composed interview without a break and gives it to `voicediff separate` in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from voicediff.corpora.lrs3 import make_clip, plan
from voicediff.corpora.lrs3.interview import Guest, Interview
from voicediff.video.constants import FPS, HOP, SAMPLE_RATE

MEASURE = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("options", nargs="*", help="of `voicediff separate`, after --")
    args = parser.parse_args()
    found, peaks = {}, []
    with tempfile.TemporaryDirectory() as room:
        for minutes in args.minutes:
            video = Path(room) / f"{minutes:g}.mp4"
            write(video, minutes)
            peak, seconds = separate(args, video)
            peaks.append(peak)
            found[f"peak_mb_{minutes:g}_min"] = round(peak / 1024, 1)
            found[f"seconds_{minutes:g}_min"] = round(seconds)
    found["memory_ratio"] = round(peaks[-1] / peaks[0], 3)
    print(json.dumps(found, indent=1))


def write(path: Path, minutes: float) -> None:
    """Two people of the mini corpus side by side, over and over, 640 x 360."""
    clips = [make_clip(p) for p in plan(30.0, 1) if p.split == "test" and p.number == 0][1:3]
    length = min(len(clip) for clip in clips)
    places = ((60, 90), (370, 90))
    guests = tuple(Guest(clip, 0, place) for clip, place in zip(clips, places, strict=True))
    interview = Interview(guests, length)
    pictures = list(interview.pictures())
    sound = interview.voices().sum(0)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS)
        picture.width, picture.height = interview.size
        picture.pix_fmt, picture.options = "yuv420p", {"crf": "23", "preset": "ultrafast"}
        voice = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(round(minutes * 60 * FPS)):
            place = index % length
            frame = av.VideoFrame.from_ndarray(pictures[place], format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(picture.encode(frame))
            part = np.ascontiguousarray(sound[None, place * HOP : (place + 1) * HOP])
            piece = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            piece.sample_rate, piece.pts = SAMPLE_RATE, index * HOP
            piece.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(voice.encode(piece))
        container.mux(picture.encode())
        container.mux(voice.encode())


def separate(args: argparse.Namespace, video: Path) -> tuple[int, float]:
    """Peak resident memory of the program in kB, and its seconds."""
    program = [
        sys.executable,
        "-m",
        "voicediff",
        "separate",
        str(video),
        "--model",
        str(args.model),
    ]
    options = ["-o", str(video.with_suffix("")), *args.options]
    began = time.perf_counter()
    command = [sys.executable, "-c", MEASURE, *program, *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]), time.perf_counter() - began


if __name__ == "__main__":
    main()
