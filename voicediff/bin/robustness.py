"""Measure separation with a disturbed video: missing, frozen, occluded, blurred, early and late.

Separates the mixtures of a list under each condition and writes robustness.json, the table that
`voicediff score-mixtures` shows, and robustness/CONDITION.json, the metrics of each track.
Conditions that exist are skipped.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from voicediff import experiment
from voicediff.bin.arguments.inference import apply_inference, chosen_sampler
from voicediff.bin.arguments.robustness import add_arguments as add_arguments
from voicediff.bin.decode_mixtures import (
    load_separation,
    read_mixtures,
    title_of,
)
from voicediff.data.separation.disturbed import CONDITIONS, Condition, DisturbedMixtures
from voicediff.data.separation.mixtures import MixtureList
from voicediff.diffusion.noise import item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.experiment import Experiment
from voicediff.files import write_json
from voicediff.inference.separation import batches_of, confidence, separate_batch
from voicediff.metrics import SeparatedTrack, improved, score_track, separation_metrics
from voicediff.registry import build
from voicediff.report.robustness import judged
from voicediff.report.separation_metrics import robustness_table
from voicediff.report.separation_rows import track_name
from voicediff.report.table import plain
from voicediff.video.constants import HOP, SAMPLE_RATE

Tracks = dict[str, dict[str, float]]
FIGURES = ("si_sdri", "selected", "confidence")


def run(args: argparse.Namespace) -> None:
    apply_inference(args, ignored=("nfe",))
    if args.samples < 1:
        raise ConfigError(f"--samples: expected 1 or more, found {args.samples}")
    test = RobustnessTest(args, load_separation(args.model, args.device))
    with tqdm(unit="mixture", disable=None) as bar:
        bar.total = len(CONDITIONS) * len(test.made.mixtures)
        found = {condition: test.tracks(condition, bar) for condition in CONDITIONS}
    result = test.facts() | judged({c: list(tracks.values()) for c, tracks in found.items()})
    write_json(args.out / "robustness.json", result)
    print(plain(robustness_table(result)))
    print(f"\n{args.out / 'robustness.json'}: {'passed' if result['passed'] else 'FAILED'}")


class RobustnessTest:
    """One model, one list, all conditions; one result file per condition."""

    def __init__(self, args: argparse.Namespace, loaded: Experiment):
        self.args, self.task = args, loaded.task
        self.noise_scale = self.task.noise_scale if args.noise_scale is None else args.noise_scale
        self.sampler_spec = chosen_sampler(args, loaded.sampler)
        self.sampler = self._sampler()
        self.samples = 1 if self.sampler is None else args.samples
        listed = read_mixtures(args.dump, args.list, args.mixtures)
        self.clips = listed.clips
        self.made = MixtureList(args.list, args.dump.name, tuple(listed.mixtures))
        self.weights = experiment.weights_hash(args.model)
        self.metrics = separation_metrics(("si_sdr", "selection"))[0]

    def facts(self) -> dict[str, Any]:
        """What the results depend on."""
        nfe = 0 if self.sampler is None else self.sampler.nfe
        return {
            "title": title_of(self.task, nfe),
            "list": self.made.hash,
            "mixtures": len(self.made.mixtures),
            "nfe": nfe,
            "sampler": self.sampler_spec if self.sampler is not None else None,
            "noise_scale": self.noise_scale,
            "samples": self.samples,
            "seed": self.args.seed,
            "weights": self.weights,
        }

    def tracks(self, condition: Condition, bar: tqdm) -> Tracks:
        """Metrics by track, read from the file where it exists."""
        path = self.args.out / "robustness" / f"{condition.name}.json"
        facts = self.facts()
        bar.set_description(condition.title)
        tracks = _kept(path, facts)
        if tracks is None:
            tracks = self._measured(condition, bar)
            write_json(path, {"facts": facts, "tracks": tracks})
        else:
            bar.update(len(self.made.mixtures))
        return tracks

    def _measured(self, condition: Condition, bar: tqdm) -> Tracks:
        mixtures = DisturbedMixtures(self.clips, self.made, condition, self.args.seed)
        tracks: Tracks = {}
        for batch in batches_of(self.task, mixtures, self.args.batch):
            estimates = np.stack([self._separated(batch, number) for number in range(self.samples)])
            for place, utt in enumerate(batch["utts"]):
                samples = int(batch["frames"][place]) * HOP
                truth = batch["sources"][place, :, :samples].numpy()
                mixture = batch["mixture"][place, :samples].numpy()
                figures = self._figures(truth, mixture, estimates[:, place, :, :samples])
                tracks |= {track_name(utt, voice): f for voice, f in enumerate(figures)}
            bar.update(len(batch["utts"]))
        return tracks

    def _separated(self, batch: dict[str, Any], number: int) -> np.ndarray:
        """(B, S, N); the first sample's seed is that of `voicediff decode-mixtures`."""
        seed = item_seed(self.args.seed, number) if number else self.args.seed
        found = separate_batch(self.task, batch, self.sampler, seed, self.noise_scale)
        return found.tracks.float().cpu().numpy()

    def _figures(
        self, truth: np.ndarray, mixture: np.ndarray, estimates: np.ndarray
    ) -> list[dict[str, float]]:
        """Metrics of S tracks: truth (S, N), mixture (N,), estimates (samples, S, N)."""
        confidences = confidence(estimates)
        found = []
        for voice, target in enumerate(truth):
            others = np.delete(truth, voice, 0)
            after, before = (
                score_track(SeparatedTrack(target, sound, others, SAMPLE_RATE), self.metrics)
                for sound in (estimates[0, voice], mixture)
            )
            figures = improved(after, before, self.metrics)
            figures["confidence"] = float(confidences[voice])
            known = (name for name in FIGURES if math.isfinite(figures.get(name, math.nan)))
            found.append({name: figures[name] for name in known})
        return found

    def _sampler(self) -> Sampler | None:
        """None takes the predictor alone. Raises ConfigError where the model has no such part."""
        nfe, task = self.args.nfe, self.task
        if nfe is not None and nfe < 0:
            raise ConfigError(f"--nfe: expected 0 or more, found {nfe}")
        if nfe == 0 and task.predictor is None:
            raise ConfigError(f"--nfe 0: {self.args.model} has no predictor; give 1 or more")
        if task.diffusion is None and nfe:
            raise ConfigError(f"--nfe {nfe}: {self.args.model} has no generator; give 0")
        if task.diffusion is None or nfe == 0:
            return None
        if not self.sampler_spec:
            raise ConfigError(f"{self.args.model}: names no sampler; give one with --sampler")
        sampler = build("sampler", self.sampler_spec, at="sampler")
        return sampler if nfe is None else sampler.with_nfe(nfe)


def _kept(path: Path, facts: dict[str, Any]) -> Tracks | None:
    """Tracks measured before with the same facts; None where there are none."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["tracks"] if content["facts"] == json.loads(json.dumps(facts)) else None
