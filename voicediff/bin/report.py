"""Compare samplers, grids and NFE (network evaluations) on development data, and recommend one.

Writes into the experiment folder: report/nfe.json, speed.json, REPORT.md, pareto.png and
recommended.yaml, which `voicediff decode` and `voicediff sing` then use. Measurements are kept in
report/work.jsonl; the same command resumes from there.
"""

from __future__ import annotations

import argparse

from tqdm import tqdm

from voicediff import experiment
from voicediff.bin.arguments.report import add_arguments as add_arguments
from voicediff.bin.decode_mixtures import read_mixtures
from voicediff.data.separation.mixtures import MixtureList
from voicediff.errors import ConfigError
from voicediff.evaluation import Measurement, SeparationMeasurement, SingingMeasurement
from voicediff.experiment import Experiment
from voicediff.report.measurement_log import MeasurementLog
from voicediff.report.nfe import Judged, NFEReport
from voicediff.report.settings import settings
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.tasks.svs.model import SingingSynthesis


def run(args: argparse.Namespace) -> None:
    numbers = _numbers(args.nfe)
    if not args.margin >= 0:
        raise ConfigError(f"--margin: expected 0 or more, found {args.margin}")
    if args.items is not None and args.items < 1:
        raise ConfigError(f"--items: expected 1 or more, found {args.items}")
    loaded = experiment.load(args.model, device=args.device)
    chosen = settings(_names(args.samplers), _names(args.grids), numbers, loaded.config.sampler)
    measurement = _measurement(args, loaded)
    by = _judged(args.metric, measurement)
    work = MeasurementLog(args.model / "report" / "work.jsonl", measurement.facts())
    references = {name: measurement.reference(work, name) for name in measurement.references()}
    measured = [
        measurement.once(work, setting) for setting in tqdm(chosen, desc="report", unit="setting")
    ]
    report = NFEReport(
        args.model / "report",
        measurement.facts(),
        measured,
        references,
        measurement.columns,
        by,
        args.margin,
        measurement.notes,
    )
    report.write()
    print(args.model / "report" / "REPORT.md")
    if report.choice:
        setting = report.choice.found.setting
        print(f"recommended: {setting.title}, NFE {setting.nfe}: {report.choice.reason}")


def _measurement(args: argparse.Namespace, loaded: Experiment) -> Measurement:
    """The development data of the experiment's task."""
    weights = experiment.weights_hash(args.model)
    if isinstance(loaded.task, SingingSynthesis):
        return SingingMeasurement(
            loaded.task,
            args.data,
            weights,
            args.seed,
            args.noise_scale,
            args.items,
            args.vocoder,
            args.batch_seconds,
        )
    if isinstance(loaded.task, SpeechSeparation):
        mixtures = read_mixtures(args.data, args.list, args.items)
        made = MixtureList(args.list, args.data.name, tuple(mixtures.mixtures))
        return SeparationMeasurement(
            loaded.task, mixtures, made, weights, args.seed, args.noise_scale, args.batch
        )
    name = loaded.config.task["name"]
    raise ConfigError(f"{args.model}: report measures singing and separation, found task {name}")


def _judged(name: str | None, measurement: Measurement) -> Judged:
    """The metric that decides: by default the task's own."""
    usual = measurement.judged
    if name is None:
        return usual
    columns = {column.key: column for column in measurement.columns if column.better}
    if name not in columns:
        raise ConfigError(f"--metric: no metric {name!r}; choices: {', '.join(columns)}")
    if columns[name].better == "near":
        raise ConfigError(f"--metric: {name} has a target value and no best one; it cannot decide")
    return Judged(columns[name], usual.variance)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(number) for number in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise ConfigError(f"--nfe: expected numbers like 1,4,10, found {text!r}")
    return numbers
