"""Separate the mixtures of a list with a trained model.

Writes one folder per row of the score table: truth (the sources), mixture, the oracle masks
(mask_ratio, mask_phase), predictor (the model's first estimate) and nfe_N (the generator with N
network calls). What is done is skipped.
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
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.data.separation.mixtures import MixtureList, read_list
from voicediff.data.separation.talks import read_prepared
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import Experiment
from voicediff.files import whole_folder
from voicediff.inference.separation import batches_of, separate_batch
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
    """One line of the score table: how its tracks come about."""

    name: str
    title: str
    nfe: int | None = None
    sampler: Sampler | None = None


def run(args: argparse.Namespace) -> None:
    decoding = MixtureDecoding(args, load_separation(args.model, args.device))
    for row in decoding.rows():
        decoding.write(row)
    made = decoding.made
    made.write(args.out / "mixtures.json")
    print(f"{args.out}: {len(made.mixtures)} mixtures of list {made.name} ({made.hash})")


class MixtureDecoding:
    """The rows of one call of `voicediff decode-mixtures`; what is done is skipped."""

    def __init__(self, args: argparse.Namespace, loaded: Experiment):
        self.args, self.task = args, loaded.task
        self.sampler_spec = {"name": args.sampler} if args.sampler else loaded.sampler
        self.noise_scale = self.task.noise_scale if args.noise_scale is None else args.noise_scale
        self.mixtures = read_mixtures(args.dump, args.list, args.mixtures)
        self.made = MixtureList(args.list, args.dump.name, tuple(self.mixtures.mixtures))
        self.weights = experiment.weights_hash(args.model)

    def rows(self) -> list[Row]:
        rows = [Row(name, title) for name, title in TITLES.items()]
        wanted = numbers_of_calls(self.args.nfe)
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
        folder, facts = self.args.out / row.name, self._facts(row)
        if _is_done(folder, facts):
            print(f"{folder}: done already")
            return
        work = {"network": 0.0, "audio": 0.0}
        with whole_folder(folder) as new:
            (new / "wav").mkdir()
            bar = tqdm(total=len(self.mixtures), desc=row.name, unit="mixture", disable=None)
            for name, tracks in self._tracks(row, work):
                for voice, track in enumerate(tracks):
                    write_wav(new / "wav" / f"{track_name(name, voice)}.wav", track, SAMPLE_RATE)
                bar.update()
            bar.close()
            if row.nfe is not None:
                facts |= self._costs(row, work)
            (new / "info.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _tracks(self, row: Row, work: dict[str, float]) -> Iterator[tuple[str, np.ndarray]]:
        """(mixture, tracks (S, N)) of a row."""
        for batch in batches_of(self.task, self.mixtures, self.args.batch):
            if row.nfe is None:
                tracks = [reference(row.name, *pair) for pair in _sounds(batch)]
            else:
                began = time.perf_counter()
                found = separate_batch(
                    self.task, batch, row.sampler, self.args.seed, self.noise_scale
                )
                tracks = found.voices.float().cpu().numpy()
                work["network"] += time.perf_counter() - began
            for name, frames, voices in zip(batch["utts"], batch["frames"], tracks, strict=True):
                work["audio"] += int(frames) * HOP / SAMPLE_RATE
                yield name, voices[:, : int(frames) * HOP]

    def _own_nfe(self) -> int | None:
        """Calls of the sampler as the experiment names it."""
        return build("sampler", self.sampler_spec, at="sampler").nfe

    def _sampler(self, nfe: int) -> Sampler | None:
        sampler = build("sampler", self.sampler_spec, at="sampler")
        try:
            return sampler.with_nfe(nfe)
        except ConfigError as error:
            print(f"{nfe} calls left out: {error}", file=sys.stderr)
            return None

    def _facts(self, row: Row) -> dict[str, Any]:
        """What decides a row's content: the same facts, the same row."""
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

    def _costs(self, row: Row, work: dict[str, float]) -> dict[str, Any]:
        """Real-time factor (work per second of mixture, all voices), weights, and MACs.

        MACs are in 10^9 per second of sound and voice.
        """
        task = self.task
        generator = task.diffusion if row.sampler else None
        everything = parameters(task) - parameters(task.diffusion) + parameters(generator)
        return {
            "seconds": round(work["audio"], 3),
            "rtf": work["network"] / max(work["audio"], 1e-9),
            "threads": torch.get_num_threads(),
            "device": next(task.parameters()).device.type,
            "parameters": everything,
            "parameters_predictor": parameters(task.predictor),
            "parameters_generator": parameters(generator),
            "gmacs": self._macs(row) / 1e9,
        }

    def _macs(self, row: Row) -> float:
        """Per second of sound and voice.

        In float32: the counter takes recurrent layers to pieces, which would mix precisions.
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


def title_of(task: SpeechSeparation, calls: int | None) -> str:
    """What separates, for people; 0 calls are the predictor's own estimate, None is any number."""
    if calls == 0:
        return "predictor alone"
    before = "predictor + generator" if task.predictor is not None else "generator"
    return before if calls is None else f"{before}, NFE {calls}"


def read_mixtures(dump: Path, name: str, count: int | None = None) -> ListedMixtures:
    """The mixtures of a list of a prepared folder, or its first ones. Raises DataError."""
    path = dump / "lists" / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise DataError(f"{path}: no such list; there are: {there}")
    if count is not None and count < 1:
        raise ConfigError(f"--mixtures: wants 1 or more, found {count}")
    clips, made = read_prepared(dump), read_list(path)
    kept = MixtureList(made.name, made.split, made.mixtures[:count], made.left_out)
    if not kept.mixtures:
        raise DataError(f"{path}: no mixtures; run stage 1 (data) again with more clips")
    return ListedMixtures(clips, kept)


def reference(name: str, mixture: Tensor, sources: Tensor) -> np.ndarray:
    """The tracks (S, N) of a row that no model makes, from a mixture (N,) and its sources (S, N)."""
    if name == TRUTH:
        return sources.numpy()
    if name == MIXTURE:
        return mixture.expand_as(sources).numpy()
    masked = {MASKS[0]: ratio_masked, MASKS[1]: phase_masked}[name]
    return masked(mixture, sources).numpy()


def numbers_of_calls(text: str) -> list[int]:
    """`0,1,4` as numbers. Raises ConfigError."""
    try:
        calls = [int(number) for number in text.split(",")]
    except ValueError:
        calls = [-1]
    if min(calls) < 0:
        raise ConfigError(f"--nfe: wants numbers of calls like 0,1,4; found {text!r}")
    return calls


def _sounds(batch: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(batch["mixture"], batch["sources"], strict=True))


def _is_done(folder: Path, facts: dict[str, Any]) -> bool:
    path = folder / "info.json"
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))
    return all(found.get(key) == value for key, value in facts.items())
