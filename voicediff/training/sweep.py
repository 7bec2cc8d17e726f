"""A search over options of a configuration: each trial is an ordinary training.

DIR/optuna.log     the study with every trial, also failed ones
DIR/trials/000/    the experiment folder of trial 0
DIR/sweep.json, SWEEP.md, sweep.png
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicediff import experiment
from voicediff.config import override, plain, read_yaml
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError, DataError, TrainingError
from voicediff.files import replacing, write_json, write_text
from voicediff.optional import require
from voicediff.registry import get, read_options
from voicediff.report.chart import Points, scatter
from voicediff.report.table import Column, Row, Table, markdown
from voicediff.training.options import read_training
from voicediff.training.start import Request, train

SCALARS = (str, int, float, bool, type(None))


@dataclass
class Range:
    """Numbers from `low` to `high`; integers if both are integers.

    log: uniform in the logarithm. step: distance of the values from `low`.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None


@dataclass(frozen=True)
class Sweep:
    """Arguments of a search, see `voicediff sweep --help`."""

    config: Path
    grid: Path
    train: Path
    dev: Path
    out: Path
    assets: Path | None = None
    seed: int = 0

    def request(self, number: int, options: Mapping[str, Any]) -> Request:
        """The training of a trial."""
        return Request(
            config=self.config,
            overrides=assignments(options),
            train=self.train,
            dev=self.dev,
            assets=self.assets,
            experiment=self.out / "trials" / f"{number:03d}",
        )


def assignments(options: Mapping[str, Any]) -> list[str]:
    """Options by path as overrides of a configuration."""
    return [f"{path}={json.dumps(value)}" for path, value in options.items()]


def read_grid(path: Path) -> dict[str, list | Range]:
    """The options to vary, by override path: a list of choices or a range.

    Raises ConfigError with the wrong path.
    """
    grid: dict[str, list | Range] = {}
    for key, value in read_yaml(path).items():
        at = f"{path}: {key}"
        if isinstance(value, list):
            if not value or not all(isinstance(item, SCALARS) for item in value):
                raise ConfigError(f"{at}: choices are a list of numbers or words, found {value!r}")
            grid[key] = value
        elif isinstance(value, Mapping):
            grid[key] = _checked_range(read_options(Range, value, key), at)
        else:
            raise ConfigError(
                f"{at}: expected choices [a, b] or a range {{low: .., high: ..}}, found {value!r}"
            )
    if not grid:
        raise ConfigError(f"{path}: empty; name options like `task.decoder.channels: [8, 16]`")
    return grid


def _checked_range(found: Range, at: str) -> Range:
    if not found.low < found.high:
        raise ConfigError(f"{at}: low {found.low} is not below high {found.high}")
    if found.log and (found.low <= 0 or found.step is not None):
        raise ConfigError(f"{at}: a log range begins above 0 and has no step")
    if found.step is not None and found.step <= 0:
        raise ConfigError(f"{at}.step: must be above 0, found {found.step}")
    return found


def check(sweep: Sweep, grid: Mapping[str, list | Range]) -> None:
    """Raise ConfigError, before any training, if the ends of the grid give no valid configuration."""
    ends = {
        key: (v.low, v.high) if isinstance(v, Range) else (v[0], v[-1]) for key, v in grid.items()
    }
    for number in (0, 1):
        options = {key: pair[number] for key, pair in ends.items()}
        config = experiment.read_config(sweep.config, assignments(options))
        read_training(config)
        config.build_task(sweep.assets)
        if config.build_sampler() is None and config.task["name"] == "svs":
            raise ConfigError(
                f"{sweep.config}: sampler: missing; trials are compared by their samples"
            )


def search(sweep: Sweep, trials: int, report: Callable[[str], None]) -> int:
    """Train until there are `trials` finished trials in total; resumes a stopped search.

    Returns 0, or the number of the signal that stopped it. Writes the table after each trial.
    """
    grid = read_grid(sweep.grid)
    check(sweep, grid)
    study, optuna = _study(sweep, grid)
    states = optuna.trial.TrialState
    while True:
        running = [t for t in study.get_trials(deepcopy=False) if t.state == states.RUNNING]
        if not running and len(study.trials) >= trials:
            break
        if running:
            number, options = running[0].number, running[0].params
        else:
            seed = item_seed(sweep.seed, "sweep", len(study.trials)) % 2**32
            study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = study.ask()
            number, options = trial.number, _suggested(trial, grid)
        stopped, value, reason = _trained(sweep, number, options)
        if stopped:
            return stopped
        if reason:
            study.tell(number, state=states.FAIL)
            report(f"trial {number}: failed: {reason}")
        else:
            study.tell(number, value)
            report(f"trial {number}: {value:.6g}")
        _write(sweep, study, states)
    _write(sweep, study, states)
    return 0


def _study(sweep: Sweep, grid: Mapping[str, Any]) -> tuple[Any, Any]:
    optuna = require("optuna", purpose="sweep")
    journal = require("optuna.storages.journal", purpose="sweep")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep.out.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.JournalStorage(
        journal.JournalFileBackend(str(sweep.out / "optuna.log"))
    )
    study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True)
    facts = {
        "config": override(read_yaml(sweep.config), []),
        "grid": plain(grid),
        "seed": sweep.seed,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    if study.user_attrs.setdefault("facts", digest) != digest:
        raise ConfigError(
            f"{sweep.out}: was started with another configuration, grid or seed; choose another --out"
        )
    study.set_user_attr("facts", digest)
    return study, optuna


def _suggested(trial: Any, grid: Mapping[str, list | Range]) -> dict[str, Any]:
    for key, found in grid.items():
        if not isinstance(found, Range):
            trial.suggest_categorical(key, found)
        elif isinstance(found.low, int) and isinstance(found.high, int):
            step = 1 if found.step is None else int(found.step)
            trial.suggest_int(key, found.low, found.high, log=found.log, step=step)
        else:
            trial.suggest_float(key, found.low, found.high, log=found.log, step=found.step)
    return trial.params


def _trained(sweep: Sweep, number: int, options: Mapping[str, Any]) -> tuple[int, float, str]:
    """(signal that stopped it or 0, the metric at the end, why it failed or '')."""
    request = sweep.request(number, options)
    try:
        stopped = train(request)
    except (ConfigError, TrainingError) as error:
        return 0, math.nan, " ".join(str(error).split())
    if stopped:
        return stopped, math.nan, ""
    value = final_metric(request.experiment, metric(sweep))
    return 0, value, "" if math.isfinite(value) else "the metric is not a number"


def metric(sweep: Sweep) -> str:
    """The name of the metric of samples by which trials are compared; lower is better."""
    config = experiment.read_config(sweep.config)
    return get("task", config.task["name"], "task").part.best


def final_metric(folder: Path, name: str) -> float:
    """The last value of the metric in an experiment's log. Raises DataError if there is none."""
    value = None
    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "sample" and row["name"] == name:
                value = float(row["value"])
    if value is None:
        raise DataError(f"{folder}/log.csv: has no {name}; set training.previews above 0")
    return value


def _write(sweep: Sweep, study: Any, states: Any) -> None:
    """sweep.json, SWEEP.md and sweep.png."""
    name, found = metric(sweep), []
    for trial in study.get_trials(deepcopy=False):
        if trial.state not in (states.COMPLETE, states.FAIL):
            continue
        updates, parameters = compute(sweep, trial.params)
        found.append(
            {
                "trial": trial.number,
                "options": trial.params,
                name: trial.value if trial.state == states.COMPLETE else None,
                "updates": updates,
                "parameters": parameters,
                "compute": None if parameters is None else updates * parameters,
            }
        )
    write_json(sweep.out / "sweep.json", {"metric": name, "seed": sweep.seed, "trials": found})
    table = _table(found, name)
    text = (
        f"# Sweep of {sweep.config.name}\n\nThe lowest {name} at the end of training first. Compute "
        f"is updates times parameters.\n\n{markdown(table)}\n\n![{name} against compute](sweep.png)\n"
    )
    write_text(sweep.out / "SWEEP.md", text)
    points = [(t["compute"], t[name]) for t in found if t["compute"] and t[name] is not None]
    with replacing(sweep.out / "sweep.png") as file:
        panel = Points("training compute (updates x parameters)", {"trials": points})
        file.write(scatter([panel], name, [None]).data)


def compute(sweep: Sweep, options: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(updates, parameters) of a trial; None where its options cannot be built."""
    try:
        config = experiment.read_config(sweep.config, assignments(options))
        updates = sum(phase.steps for phase in read_training(config).phases)
        task = config.build_task(sweep.assets)
    except ConfigError:
        return None, None
    return updates, sum(parameter.numel() for parameter in task.parameters())


def _table(found: list[dict[str, Any]], name: str) -> Table:
    keys = list(dict.fromkeys(key for trial in found for key in trial["options"]))
    columns = [
        Column(name, name, "", "lower", digits=4),
        Column("updates", "updates", digits=0),
        Column("parameters", "parameters", digits=0),
    ]
    rows = []
    for trial in sorted(found, key=lambda t: math.inf if t[name] is None else t[name]):
        options = ", ".join(f"{key}={_shown(trial['options'][key])}" for key in keys)
        title = f"{trial['trial']}: {options}" + " (failed)" * (trial[name] is None)
        rows.append(Row(str(trial["trial"]), title, trial))
    return Table("Trials", columns, rows, "trial: options")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
