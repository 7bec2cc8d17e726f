"""Separate the mixtures of a list with a trained model.

Writes one folder per row of the score table: truth (the sources), mixture, the oracle masks
(mask_ratio, mask_phase), predictor (the model's first estimate) and nfe_N (the generator with N
network evaluations). Rows that exist are skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from voicediff import experiment
from voicediff.audio import write_wav
from voicediff.audio.masks import phase_masked, ratio_masked
from voicediff.bin.arguments.decode_mixtures import add_arguments as add_arguments
from voicediff.bin.arguments.inference import apply_inference, chosen_sampler
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.data.separation.mixtures import MixtureList, read_list
from voicediff.data.separation.talks import read_prepared
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import Experiment
from voicediff.files import whole_folder
from voicediff.inference.separation import batches_of, separate_batch
from voicediff.inference.shards import (
    finished_parts,
    is_done,
    join_parts,
    read_shard,
    remove_parts,
)
from voicediff.networks.cost import macs, parameters
from voicediff.registry import build
from voicediff.report.separation_rows import MASKS, MIXTURE, TRUTH, track_name
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.constants import HOP, SAMPLE_RATE

TITLES = {
    TRUTH: "ground truth",
    MIXTURE: "mixture (unprocessed)",
    MASKS[0]: "oracle ratio mask",
    MASKS[1]: "oracle phase-sensitive mask",
}


@dataclass
class Row:
    """One row of the score table: how its tracks are made."""

    name: str
    title: str
    nfe: int | None = None
    sampler: Sampler | None = None


def run(args: argparse.Namespace) -> None:
    apply_inference(args)
    decoding = MixtureDecoding(args, load_separation(args.model, args.device))
    for row in decoding.rows():
        decoding.write(row)
    if decoding.shard.count > 1:
        return
    remove_parts(args.out)
    made = decoding.made
    made.write(args.out / "mixtures.json")
    print(f"{args.out}: {len(made.mixtures)} mixtures of list {made.name} ({made.hash})")


class MixtureDecoding:
    """The rows of one run of `voicediff decode-mixtures`; those that exist are skipped."""

    def __init__(self, args: argparse.Namespace, loaded: Experiment):
        self.args, self.task, self.shard = args, loaded.task, read_shard(args.shard)
        self.sampler_spec = chosen_sampler(args, loaded.sampler)
        self.noise_scale = self.task.noise_scale if args.noise_scale is None else args.noise_scale
        self.mixtures = read_mixtures(args.dump, args.list, args.mixtures)
        self.made = MixtureList(args.list, args.dump.name, tuple(self.mixtures.mixtures))
        self.weights = experiment.weights_hash(args.model)

    def rows(self) -> list[Row]:
        rows = [Row(name, title) for name, title in TITLES.items()]
        wanted = read_nfe(self.args.nfe or "0")
        if self.task.predictor is not None:
            rows.append(Row("predictor", title_of(self.task, 0), 0))
        if self.task.diffusion is None:
            return rows
        if not self.sampler_spec:
            raise ConfigError(f"{self.args.model}: names no sampler; give one with --sampler")
        own = self._own_nfe()
        for nfe in sorted({*wanted, *([] if own is None else [own])} - {0}):
            sampler = self._sampler(nfe)
            if sampler is not None and f"nfe_{sampler.nfe}" not in {row.name for row in rows}:
                title = title_of(self.task, sampler.nfe)
                rows.append(Row(f"nfe_{sampler.nfe}", title, sampler.nfe, sampler))
        return rows

    def write(self, row: Row) -> None:
        """All tracks, and `info.json`; one folder, whole or not at all."""
        whole, facts = self.args.out / row.name, self._facts(row)
        folder = self.shard.folder(self.args.out) / row.name
        if is_done(whole, facts) or is_done(folder, facts):
            print(f"{folder}: done already")
            return
        alone = self.shard.count == 1
        parts = finished_parts(self.args.out, row.name, facts) if alone else []
        with whole_folder(folder) as new:
            info = join_parts(parts, new) if parts else self._fill(row, new)
            if not alone:
                facts |= info
            elif row.nfe is not None:
                facts |= self._costs(row, info["work"], info["threads"])
            (new / "info.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _fill(self, row: Row, folder: Path) -> dict[str, Any]:
        """Write the tracks of this job's mixtures; seconds of work and of sound, and threads."""
        work = {"network": 0.0, "audio": 0.0}
        (folder / "wav").mkdir()
        with tqdm(desc=row.name, unit="mixture", disable=None) as bar:
            for name, tracks in self._tracks(row, work):
                for voice, track in enumerate(tracks):
                    path = folder / "wav" / f"{track_name(name, voice)}.wav"
                    write_wav(path, track, SAMPLE_RATE)
                bar.update()
        return {"work": work, "threads": torch.get_num_threads()}

    def _tracks(self, row: Row, work: dict[str, float]) -> Iterator[tuple[str, np.ndarray]]:
        """(mixture, tracks (S, N)) of a row."""
        for batch in batches_of(self.task, self.mixtures, self.args.batch, self.shard):
            if row.nfe is None:
                tracks = [reference(row.name, *pair) for pair in _sounds(batch)]
            else:
                began = time.perf_counter()
                found = separate_batch(
                    self.task, batch, row.sampler, self.args.seed, self.noise_scale
                )
                tracks = found.tracks.float().cpu().numpy()
                work["network"] += time.perf_counter() - began
            for name, frames, voices in zip(batch["utts"], batch["frames"], tracks, strict=True):
                work["audio"] += int(frames) * HOP / SAMPLE_RATE
                yield name, voices[:, : int(frames) * HOP]

    def _own_nfe(self) -> int | None:
        """NFE of the sampler as configured in the experiment."""
        return build("sampler", self.sampler_spec, at="sampler").nfe

    def _sampler(self, nfe: int) -> Sampler | None:
        sampler = build("sampler", self.sampler_spec, at="sampler")
        try:
            return sampler.with_nfe(nfe)
        except ConfigError as error:
            print(f"NFE {nfe} left out: {error}", file=sys.stderr)
            return None

    def _facts(self, row: Row) -> dict[str, Any]:
        """What a row's content depends on; where it is unchanged the row is skipped."""
        facts = {"row": row.name, "title": row.title, "nfe": row.nfe, "list": self.made.hash}
        if row.nfe is None:
            return facts
        return facts | {
            "sampler": self.sampler_spec if row.sampler else None,
            "own_nfe": self._own_nfe() if row.sampler else None,
            "noise_scale": self.noise_scale,
            "seed": self.args.seed,
            "weights": self.weights,
        }

    def _costs(self, row: Row, work: dict[str, float], threads: int) -> dict[str, Any]:
        """Real-time factor (all speakers), number of weights, and MACs.

        MACs are in 10^9 per second of sound and speaker.
        """
        task = self.task
        generator = task.diffusion if row.sampler else None
        everything = parameters(task) - parameters(task.diffusion) + parameters(generator)
        return {
            "seconds": round(work["audio"], 3),
            "rtf": work["network"] / max(work["audio"], 1e-9),
            "threads": threads,
            "device": next(task.parameters()).device.type,
            "parameters": everything,
            "parameters_predictor": parameters(task.predictor),
            "parameters_generator": parameters(generator),
            "gmacs": self._macs(row) / 1e9,
        }

    def _macs(self, row: Row) -> float:
        """Per second of sound and speaker.

        In float32: the counter decomposes recurrent layers, which would mix precisions.
        """
        task, batch = self.task, next(batches_of(self.task, self.mixtures, 1))
        voices, seconds = batch["sources"].shape[1], int(batch["frames"][0]) * HOP / SAMPLE_RATE
        usual, task.bf16 = task.bf16, False
        try:
            count = macs(lambda: separate_batch(task, batch, row.sampler, 0, self.noise_scale))
        finally:
            task.bf16 = usual
        return count / seconds / voices


def load_separation(model: Path, device: str | None = None) -> Experiment:
    """An experiment of task avss. Raises ConfigError for another one."""
    loaded = experiment.load(model, device=device)
    if not isinstance(loaded.task, SpeechSeparation):
        name = loaded.config.task["name"]
        raise ConfigError(f"{model}: separates nothing (task avss is needed, found {name})")
    return loaded


def title_of(task: SpeechSeparation, nfe: int | None) -> str:
    """Name of a row for people; NFE 0 is the predictor alone, None is any number."""
    if nfe == 0:
        return "predictor alone"
    before = "predictor + generator" if task.predictor is not None else "generator"
    return before if nfe is None else f"{before}, NFE {nfe}"


def read_mixtures(dump: Path, name: str, count: int | None = None) -> ListedMixtures:
    """The mixtures of a list of a prepared folder, or its first ones. Raises DataError."""
    path = dump / "lists" / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise DataError(f"{path}: no such list; there are: {there}")
    if count is not None and count < 1:
        raise ConfigError(f"--mixtures: expected 1 or more, found {count}")
    clips, made = read_prepared(dump), read_list(path)
    kept = MixtureList(made.name, made.split, made.mixtures[:count], made.left_out)
    if not kept.mixtures:
        raise DataError(f"{path}: no mixtures; run stage 1 (data) again with more clips")
    return ListedMixtures(clips, kept)


def reference(name: str, mixture: Tensor, sources: Tensor) -> np.ndarray:
    """The tracks (S, N) of a row without a model, from a mixture (N,) and its sources (S, N)."""
    if name == TRUTH:
        return sources.numpy()
    if name == MIXTURE:
        return mixture.expand_as(sources).numpy()
    masked = {MASKS[0]: ratio_masked, MASKS[1]: phase_masked}[name]
    return masked(mixture, sources).numpy()


def read_nfe(text: str) -> list[int]:
    """`0,1,4` as numbers. Raises ConfigError."""
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise ConfigError(f"--nfe: expected numbers like 0,1,4, found {text!r}")
    return numbers


def _sounds(batch: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(batch["mixture"], batch["sources"], strict=True))
