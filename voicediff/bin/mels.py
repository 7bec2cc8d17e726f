"""Write mels that an acoustic model generates, for fine-tuning its vocoder.

They are aligned with the recordings (the score gives the frames) and generated from the recordings'
F0, so that a vocoder learns to map them to the recordings. OUT/UTT.npy, (n_mels, T) float16;
`training.phases.NAME.data.mels=OUT` of the task `vocoder` reads them. Files that exist are kept.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from tqdm import tqdm

from voicediff import experiment
from voicediff.bin.arguments.mels import add_arguments as add_arguments
from voicediff.data.singing.dataset import SingingDataset
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.files import replacing
from voicediff.registry import build
from voicediff.tasks.svs.model import SingingSynthesis


def run(args: argparse.Namespace) -> None:
    loaded = experiment.load(args.model, device=args.device)
    sampler = None
    if args.nfe != 0:
        sampler = build("sampler", loaded.sampler, at="sampler")
        sampler = sampler if args.nfe is None else sampler.with_nfe(args.nfe)
    lines = loaded.task.dataset(args.dump, training=False, options={})
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = _chosen(lines, args.lines)
    missing = [i for i in wanted if not (args.out / f"{lines.entries[i]['utt']}.npy").is_file()]
    for first in tqdm(range(0, len(missing), args.batch), desc="mels", unit="batch"):
        _write(lines, missing[first : first + args.batch], loaded.task, sampler, args)
    print(f"{args.out}: mels of {len(wanted)} lines")


def _chosen(lines: SingingDataset, most: int | None) -> list[int]:
    """Numbers of the lines, sorted by length."""
    count = len(lines) if most is None else min(most, len(lines))
    chosen = np.unique(np.linspace(0, len(lines) - 1, count).round().astype(int)).tolist()
    return sorted(chosen, key=lambda i: lines.lengths[i])


def _write(
    lines: SingingDataset,
    indices: list[int],
    task: SingingSynthesis,
    sampler: Sampler | None,
    args: argparse.Namespace,
) -> None:
    """Generate some lines with the recordings' F0."""
    device = next(task.parameters()).device
    items = [lines.item(i, 0) for i in indices]
    batch = task.collate(items, [0] * len(items))
    noise = SeededNoise([item_seed(args.seed, item["utt"], "mels") for item in items])
    score, f0 = batch["score"].to(device), batch["f0"].to(device)
    song = task.generate(score, sampler, noise, f0=f0)
    for item, mel in zip(items, song.mel, strict=True):
        frames = item["mel"].shape[1]
        with replacing(args.out / f"{item['utt']}.npy") as file:
            np.save(file, mel[:, :frames].to("cpu", torch.float16).numpy())
