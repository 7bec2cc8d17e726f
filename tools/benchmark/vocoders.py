#!/usr/bin/env python3
"""Vocoders side by side: copy synthesis of recordings, speed, memory.

    python tools/benchmark/vocoders.py griffin_lim harmonic egs/csd/svs/exp/train_vocoder_mini \\
        --dump "mini songs=egs/csd/svs/dump/mini_30min_seed1/train_mini/test" --speed --memory

Every vocoder makes the recordings of feature folders (stage 2) again from their mels and F0. `world` is
the outside reference (Morise et al. 2016): analysis and synthesis of the recording itself, where the
package pyworld is installed. Tables are Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from voicediff.audio import MelSpec, f0, log_mel, read_wav, write_wav
from voicediff.data.singing.dataset import read_index
from voicediff.data.singing.features import read_mel_spec
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.inference.vocoding import find_vocoder
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.music.score import Score
from voicediff.report.table import Column, Row, Table, markdown

COLUMNS = (
    Column("log_spectral_distance", "LSD", "dB", "lower"),
    Column("mcd", "MCD", "dB", "lower"),
    Column("sung_f0_distance", "F0, median", "cents", "lower", digits=1),
    Column("sung_f0_distance_p90", "F0, 90 %", "cents", "lower", digits=1),
    Column("vuv_error", "V/UV error", "%", "lower", scale=100.0),
    Column("multi_stft", "multi-resolution STFT", "", "lower", digits=3),
    Column("periodicity_error", "periodicity error", "", "lower", digits=3),
    Column("f0_jitter", "F0 jitter, long notes", "cents", "near", "recording", digits=2),
)
METRICS = ("mcd", "multi_stft", "periodicity_error", "sung_f0_distance", "vuv_error", "f0_jitter")
SPEED = (
    Column("cpu", "processor time, 1 thread", "s/s", "lower", digits=4),
    Column("wall_1", "real-time factor, 1 thread", "", "lower", digits=4),
    Column("wall_2", "real-time factor, 2 threads", "", "lower", digits=4),
)
MEMORY = (
    Column("mb_1", "peak, 1 minute", "MB", "lower", digits=0),
    Column("mb_10", "peak, 10 minutes", "MB", "lower", digits=0),
)
PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
Make = Callable[["Line"], np.ndarray]


@dataclass
class Line:
    """A recorded line: its mel (F, T) and F0 (T,), and what the metrics know of it."""

    utt: str
    mel: np.ndarray
    f0: np.ndarray
    natural: Item


def main() -> None:
    args = parse()
    if args.dump:
        spec = read_mel_spec(folder_of(args.dump[0])[1].parent / "assets")
    else:
        spec = MelSpec()
    makers = {Path(name).name: maker(name, spec) for name in args.vocoders}
    for dump in args.dump:
        title, folder = folder_of(dump)
        print(f"\n### {title}\n\n{markdown(quality(title, folder, makers, spec, args.wavs))}")
    if args.speed:
        print(f"\n### Speed\n\n{markdown(speed(makers, spec))}")
    if args.memory:
        print(f"\n### Memory\n\n{markdown(memory(args.vocoders, spec))}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vocoders", nargs="+", metavar="VOCODER", help="names, folders, or world")
    parser.add_argument(
        "--dump", action="append", default=[], metavar="TITLE=DIR", help="a feature folder"
    )
    parser.add_argument("--wavs", type=Path, help="folder to write the sounds to")
    parser.add_argument("--speed", action="store_true", help="time a minute of song")
    parser.add_argument("--memory", action="store_true", help="peak memory of 1 and 10 minutes")
    return parser.parse_args()


def folder_of(dump: str) -> tuple[str, Path]:
    title, _, folder = dump.rpartition("=")
    return title or folder, Path(folder)


def maker(name: str, spec: MelSpec) -> Make:
    """A function from a line to its sound."""
    if name == "world":
        return lambda line: world(line.natural.wav, spec)
    vocoder = find_vocoder(name, spec).vocoder

    @torch.inference_mode()
    def make(line: Line) -> np.ndarray:
        mel, pitch = (torch.from_numpy(x).float()[None] for x in (line.mel, line.f0))
        return vocoder(mel, pitch, SeededNoise([item_seed(0, line.utt)]))[0].numpy()

    return make


def world(wav: np.ndarray, spec: MelSpec) -> np.ndarray:
    """Analysis and synthesis by WORLD with its own F0 (Harvest), 5 ms."""
    import pyworld

    x = wav.astype(np.float64)
    pitch, times = pyworld.harvest(x, spec.sample_rate, f0_floor=60.0, f0_ceil=1200.0)
    envelope = pyworld.cheaptrick(x, pitch, times, spec.sample_rate)
    aperiodicity = pyworld.d4c(x, pitch, times, spec.sample_rate)
    made = pyworld.synthesize(pitch, envelope, aperiodicity, spec.sample_rate)
    return np.pad(made, (0, max(len(x) - len(made), 0)))[: len(x)].astype(np.float32)


def quality(
    title: str, folder: Path, makers: dict[str, Make], spec: MelSpec, wavs: Path | None
) -> Table:
    """Copy synthesis of all lines of a feature folder."""
    lines = list(read_lines(folder, spec))
    natural = [line.natural for line in lines]
    metrics = singing_metrics(METRICS)
    rows = [Row("recording", "recording", score_row(natural, natural, spec, metrics), True)]
    for name, make in makers.items():
        made = (sounded(line, make, spec, name, wavs) for line in tqdm(lines, desc=name))
        reference = name == "world"
        rows.append(Row(name, name, score_row(natural, made, spec, metrics), reference))
    return Table(title, COLUMNS, rows, "vocoder")


def read_lines(folder: Path, spec: MelSpec) -> Iterator[Line]:
    for entry in read_index(folder):
        wav, _ = read_wav(entry["wav"], spec.sample_rate, entry["start"], entry["end"])
        score = Score.from_dict(entry["score"], entry["utt"])
        natural = Item(wav=wav[: len(wav) // spec.hop * spec.hop], score=score).prepared(spec)
        mel = log_mel(torch.from_numpy(natural.wav), spec).numpy()
        yield Line(entry["utt"], mel, f0(natural.wav, spec.sample_rate, spec.hop), natural)


def sounded(line: Line, make: Make, spec: MelSpec, name: str, wavs: Path | None) -> Item:
    wav = make(line)
    if wavs is not None:
        write_wav(wavs / name / f"{line.utt}.wav", wav, spec.sample_rate)
    return Item(wav=wav, score=line.natural.score).prepared(spec)


def song(minutes: float, spec: MelSpec) -> Line:
    """A made-up mel with a gliding F0 and rests: enough to time."""
    frames = round(60 * minutes * spec.frame_rate)
    rng = np.random.default_rng(0)
    mel = np.linspace(-2, -7, spec.n_mels)[:, None] + 0.5 * rng.standard_normal((1, frames))
    pitch = 220 * 2 ** (0.5 * np.sin(np.arange(frames) / 100))
    pitch[np.arange(frames) % 200 < 20] = 0
    wav = (0.1 * rng.standard_normal(frames * spec.hop)).astype(np.float32)
    return Line("song", mel.astype(np.float32), pitch.astype(np.float32), Item(wav=wav))


def speed(makers: dict[str, Make], spec: MelSpec, rounds: int = 3) -> Table:
    """Seconds of work for a second of song, the least of some rounds."""
    line, seconds = song(1.0, spec), 60.0
    rows = []
    for name, make in makers.items():
        values: dict[str, float] = {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            make(line)
            times = [timed(make, line) for _ in range(rounds)]
            values[f"wall_{threads}"] = min(wall for wall, _ in times) / seconds
            if threads == 1:
                values["cpu"] = min(cpu for _, cpu in times) / seconds
        rows.append(Row(name, name, values))
    return Table("Speed", SPEED, rows, "vocoder")


def timed(make: Make, line: Line) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    make(line)
    return time.perf_counter() - wall, time.process_time() - cpu


def memory(names: Sequence[str], spec: MelSpec) -> Table:
    """Peak memory of `voicediff vocode` in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as room:
        for name in (name for name in names if name != "world"):
            values = {f"mb_{m}": peak(name, m, spec, Path(room)) for m in (1, 10)}
            rows.append(Row(name, Path(name).name, values))
    return Table("Memory", MEMORY, rows, "vocoder")


def peak(name: str, minutes: int, spec: MelSpec, room: Path) -> float:
    line, path = song(minutes, spec), room / "song.npz"
    np.savez(path, mel=line.mel.astype(np.float16), f0=line.f0)
    program = [sys.executable, "-m", "voicediff", "vocode", str(path), "--vocoder", name]
    command = [sys.executable, "-c", PEAK, *program, "-o", str(room / "song.wav")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


if __name__ == "__main__":
    main()
