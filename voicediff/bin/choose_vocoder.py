"""Measure vocoders on songs of the development set and keep the best one with the acoustic model.

Each vocoder makes sound from the recordings' own mels (copy synthesis) and from mels that the model
generates. Another vocoder than Griffin-Lim is selected if on generated mels the product of MCD,
multi-resolution STFT distance and periodicity error is smaller, none of the three is more than 3 %
larger, and on the recordings' own mels MCD is at most 0.3 dB larger; of several, the one with the
smallest product. F0 metrics are not used, because some vocoders are given F0. The choice and the
measurements are written to MODEL/vocoder.yaml, a trained vocoder is copied to MODEL/vocoder;
`voicediff sing` and `decode` then use it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from voicediff import experiment
from voicediff.audio import read_wav
from voicediff.bin.arguments.choose_vocoder import add_arguments as add_arguments
from voicediff.config import plain
from voicediff.data.singing.dataset import read_index
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.errors import ConfigError, DataError
from voicediff.inference.vocoding import FALLBACK, NEURAL, Named, chosen, find_vocoder, keep, kept
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.music.score import Score
from voicediff.registry import build
from voicediff.report import table
from voicediff.report.table import Column, Row, Table
from voicediff.tasks.svs.model import SingingSynthesis

ALLOWANCE = 0.3  # dB of MCD on the recordings' own mels
TOLERANCE = 1.03  # ratio by which a metric varies between two trainings of one configuration
COLUMNS = (
    Column("mcd", "MCD", "dB", "lower"),
    Column("multi_stft", "STFT", "", "lower", digits=3),
    Column("periodicity_error", "periodicity", "", "lower", digits=3),
    Column("vuv_error", "V/UV", "%", "lower", scale=100.0),
    Column("sung_f0_distance", "F0", "cents", "lower", digits=1),
    Column("f0_jitter", "jitter", "cents", digits=1),
)
DECIDING = ("mcd", "multi_stft", "periodicity_error")
Figures = dict[str, dict[str, float]]  # by "copy" and "generated"


def run(args: argparse.Namespace) -> None:
    loaded = experiment.load(args.model, device=args.device)
    names = [args.select] if args.select else list(dict.fromkeys([FALLBACK, *args.vocoder]))
    vocoders = {name: find_vocoder(name, loaded.task.mel, args.model) for name in names}
    of = _subjects(args, loaded, vocoders)
    if kept(args.model).get("of") == of:
        print(f"{args.model}: uses {chosen(args.model)}, chosen before")
        return
    if args.select:
        _keep(args.model, args.select, vocoders[args.select], {"of": of})
        return
    lines = _Lines(args, loaded)
    figures = {name: lines.measure(vocoder) for name, vocoder in vocoders.items()}
    for kind, title in (("copy", "Recordings' own mels"), ("generated", "Generated mels")):
        print(f"\n{title}\n{table.plain(_table(title, figures, vocoders, kind))}")
    measured = {vocoders[name].title: _rounded(both) for name, both in figures.items()}
    name = best(figures)
    _keep(args.model, name, vocoders[name], {"of": of, "measured": measured})


def best(figures: Mapping[str, Figures]) -> str:
    """The name of the vocoder to select, by the rule in this module's docstring."""
    least = figures[FALLBACK]
    ceiling = least["copy"]["mcd"] + ALLOWANCE

    def factor(name: str) -> float:
        made = figures[name]["generated"]
        return math.prod(made[key] / max(least["generated"][key], 1e-9) for key in DECIDING)

    def fits(name: str) -> bool:
        made = figures[name]["generated"]
        near = all(made[key] <= TOLERANCE * least["generated"][key] for key in DECIDING)
        return near and factor(name) < 1 and figures[name]["copy"]["mcd"] <= ceiling

    return min((name for name in figures if fits(name)), key=factor, default=FALLBACK)


class _Lines:
    """Lines of the development set: recordings and generated mels."""

    def __init__(self, args: argparse.Namespace, loaded: experiment.Experiment):
        self.task: SingingSynthesis = loaded.task
        self.device, self.seed = next(loaded.task.parameters()).device, args.seed
        sampler = build("sampler", loaded.sampler, at="sampler")
        if args.nfe is not None:
            sampler = sampler.with_nfe(args.nfe)
        dataset = self.task.dataset(args.dump, training=False, options={})
        entries = _first(read_index(args.dump), args.seconds * self.task.mel.frame_rate, args.dump)
        self.natural: list[Item] = []
        self.mels: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {
            "copy": [],
            "generated": [],
        }
        for number, entry in enumerate(tqdm(entries, desc="singing", unit="line")):
            self.natural.append(self._recording(entry))
            item = dataset.item(number, 0)
            own = torch.from_numpy(item["mel"])[None], torch.from_numpy(item["f0"])[None]
            self.mels["copy"].append(own)
            self.mels["generated"].append(self._sung(item, sampler))
        self.utts = [entry["utt"] for entry in entries]

    def measure(self, vocoder: Named) -> Figures:
        """Metrics of both kinds of mels through a vocoder."""
        vocoder = vocoder.to(self.device)
        metrics = singing_metrics([column.key for column in COLUMNS])
        return {
            kind: score_row(self.natural, self._made(vocoder, mels), self.task.mel, metrics)
            for kind, mels in self.mels.items()
        }

    def _made(self, vocoder: Named, mels: Sequence) -> Iterator[Item]:
        lines = list(zip(self.utts, mels, self.natural, strict=True))
        for utt, (mel, f0), natural in tqdm(lines, desc=vocoder.title, unit="line"):
            noise = SeededNoise([item_seed(self.seed, utt, "vocoder")])
            with torch.inference_mode():
                wav = vocoder.vocoder(mel.float().to(self.device), f0.to(self.device), noise)
            made = Item(wav=wav[0].float().cpu().numpy(), score=natural.score)
            yield made.prepared(self.task.mel)

    def _recording(self, entry: dict) -> Item:
        if "wav" not in entry:
            raise DataError(
                f"{entry['utt']}: its recording is unknown; run stage 2 (features) again"
            )
        rate = self.task.mel.sample_rate
        wav, _ = read_wav(entry["wav"], rate, entry["start"], entry["end"])
        score = Score.from_dict(entry["score"], entry["utt"])
        return Item(wav=wav, score=score).prepared(self.task.mel)

    def _sung(self, item: dict, sampler) -> tuple[torch.Tensor, torch.Tensor]:
        score = self.task.collate([item], [0])["score"].to(self.device)
        noise = SeededNoise([item_seed(self.seed, item["utt"])])
        song = self.task.generate(score, sampler, noise)
        frames = item["mel"].shape[1]
        return song.mel[..., :frames], song.f0[..., :frames]


def _first(entries: Sequence[dict], frames: float, dump: Path) -> list[dict]:
    """The first lines, with about `frames` frames in all."""
    taken, total = [], 0
    for entry in entries:
        if total < frames:
            taken.append(entry)
            total += entry["frames"]
    if not taken:
        raise ConfigError(f"{dump}: has no lines to measure; give more --seconds")
    return taken


def _table(
    title: str, figures: Mapping[str, Figures], vocoders: Mapping[str, Named], kind: str
) -> Table:
    rows = [Row(name, vocoders[name].title, figures[name][kind]) for name in figures]
    return Table(title, COLUMNS, rows, "vocoder")


def _subjects(
    args: argparse.Namespace, loaded: experiment.Experiment, vocoders: Mapping[str, Named]
) -> dict[str, Any]:
    """What the measurements depend on; where it is unchanged they are not repeated."""
    weights = {vocoder.title: vocoder.weights for vocoder in vocoders.values()}
    measured = {"nfe": args.nfe, "seconds": args.seconds, "seed": args.seed}
    measured["sampler"] = plain(loaded.sampler)
    model = {"model": experiment.weights_hash(args.model), "vocoders": weights}
    return model | ({"take": args.select} if args.select else measured)


def _rounded(both: Figures) -> Figures:
    return {
        kind: {key: float(f"{value:.4g}") for key, value in row.items() if math.isfinite(value)}
        for kind, row in both.items()
    }


def _keep(model: Path, name: str, vocoder: Named, about: Mapping[str, Any]) -> None:
    folder = Path(name) if Path(name).is_dir() else None
    before = chosen(model)
    keep(model, NEURAL if folder else name, about, folder)
    print(f"\n{model}: uses {vocoder.title} now (before: {before})")
