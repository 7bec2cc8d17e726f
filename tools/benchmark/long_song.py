#!/usr/bin/env python3
"""Long songs: peak memory of 1 and 10 minutes, and whether windows leave seams.

    python tools/benchmark/long_song.py --model egs/csd/svs/exp/train_mini

Sings one uninterrupted melody of each length with `voicediff sing` in a process of its own. Seams are
judged by the spectral flux (mean rise of the log-mel per frame) where windows are cross-faded, over
that of all other frames.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from voicediff import experiment
from voicediff.audio import log_mel, read_wav
from voicediff.inference.singing import SongRenderer, _windows
from voicediff.music.score import Note, Score

SYLLABLES = "나는노래를부른다하늘아래"
MELODY = (60, 62, 64, 65, 67, 65, 64, 62)
MEASURE = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--steps", default="4")
    parser.add_argument("--vocoder", default="griffin_lim")
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as room:
        for minutes in (1, 10):
            wav = Path(room) / f"{minutes}.wav"
            found[f"peak_mb_{minutes}_min"] = round(sing(args, minutes, wav) / 1024, 1)
            found[f"seam_flux_{minutes}_min"] = round(seams(args.model, wav), 3)
    found["memory_ratio"] = round(found["peak_mb_10_min"] / found["peak_mb_1_min"], 3)
    print(json.dumps(found, indent=1))


def melody(minutes: float) -> Score:
    """Notes of 0.5 s without a rest."""
    count = round(minutes * 120)
    notes = tuple(
        Note(i / 2, (i + 1) / 2, MELODY[i % len(MELODY)], SYLLABLES[i % len(SYLLABLES)])
        for i in range(count)
    )
    return Score(notes, count / 2, phrases=tuple(range(0, count, len(MELODY))))


def sing(args: argparse.Namespace, minutes: float, wav: Path) -> int:
    """Peak resident memory of the program in kB."""
    path = wav.with_suffix(".json")
    path.write_text(json.dumps(melody(minutes).to_dict(), ensure_ascii=False), encoding="utf-8")
    program = [sys.executable, "-m", "voicediff", "sing", str(path), "--model", str(args.model)]
    options = ["--steps", args.steps, "--vocoder", args.vocoder, "-o", str(wav)]
    command = [sys.executable, "-c", MEASURE, *program, *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def seams(model: Path, wav: Path) -> float:
    """Spectral flux in the cross-fades of windows over that elsewhere."""
    spec = experiment.load(model).task.mel
    sound, _ = read_wav(wav, spec.sample_rate)
    mel = log_mel(torch.from_numpy(sound), spec).numpy()
    flux = np.maximum(np.diff(mel, axis=1), 0).mean(0)
    longest, overlap = (
        round(s * spec.frame_rate) for s in (SongRenderer.longest, SongRenderer.overlap)
    )
    windows = _windows(0, mel.shape[1], longest, overlap)
    at_seam = np.zeros(len(flux), bool)
    for first, _ in windows[1:]:
        at_seam[first + overlap // 4 : first + 3 * overlap // 4] = True
    return float(flux[at_seam].mean() / flux[~at_seam].mean())


if __name__ == "__main__":
    main()
