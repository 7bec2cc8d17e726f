"""Experiment folders written by commit e97c622 still load and give the same outputs.

`old_experiments/record.py` made them and documents their content. Each run is repeated with the
recorded inputs, noise, sampler and options, under the names of that time, and every output is compared:

    norm(today - recorded) <= 1e-4 norm(recorded)

of mels and F0 (singers), waveforms and lags (separation), waveforms (vocoders), the mean and the
decoder's data estimate at three times, and the training losses. Only `load` and the functions of
`RUNS` know the package.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from voicediff import experiment
from voicediff.bin.main import main
from voicediff.data.singing.dataset import ScoreInputs
from voicediff.pretrained import SINGER
from voicediff.registry import build
from voicediff.training.options import read_training

FOLDER = Path(__file__).parents[1] / "old_experiments" / "e97c622"
PACKED = {"packed_singer": SINGER, "packed_vocoder": SINGER / "vocoder"}
TRAINED = ("singing", "distilled", "separation", "vocoder")
TOLERANCE = 1e-4
Outputs = dict[str, Tensor]
Inputs = dict[str, Tensor]
SCORE = ("tokens", "pitches", "slurs", "durations", "lengths", "melody", "places", "mask")
SCENE = ("mixture", "mouth", "valid", "face", "frames")


# -- contact with the package -------------------------------------------------------------------


def load(folder: Path) -> Any:
    """The task of an experiment folder, in eval mode."""
    return experiment.load(folder).task


def sampler_of(spec: dict[str, Any] | None) -> Any:
    return None if spec is None else build("sampler", spec)


class Probe:
    """A sampler that records the mean, and the data estimate of its first state at three times."""

    TIMES = (0.1, 0.5, 1.0)  # relative position between t_min and t_max

    def __call__(self, estimate: Callable, sde: Any, mu: Tensor, *, x: Tensor, **_: Any) -> Tensor:
        times = [sde.t_min + share * (sde.t_max - sde.t_min) for share in self.TIMES]
        data = [estimate(x, x.new_full(x.shape[:1], t)).data for t in times]
        self.found = {"mu": mu, "data": torch.stack(data)}
        return x


def generated(task: Any, given: Inputs, sampler: Any, noise: Callable, options: dict) -> Outputs:
    """The outputs of a task for the recorded inputs with a sampler."""
    if "mixture" not in given:
        score = ScoreInputs(**{name: given[name] for name in SCORE})
        song = task.generate(score, sampler, noise, **options)
        return {"mel": song.mel, "f0": song.f0}
    if "lags" in options:
        options = options | {"lags": torch.tensor(options["lags"])}
    found = task.separate(*(given[name] for name in SCENE), sampler, noise, **options)
    return {"voices": found.tracks, "lags": found.lags}


def sample(
    task: Any, given: Inputs, noise: Callable, sampler: dict | None, options: dict
) -> Outputs:
    return generated(task, given, sampler_of(sampler), noise, options)


def probe(task: Any, given: Inputs, noise: Callable) -> Outputs:
    look = Probe()
    generated(task, given, look, noise, {})
    return look.found


def loudness(task: Any, given: Inputs, noise: Callable) -> Outputs:
    lips, mixture = task.loudness(*(given[n] for n in ("mixture", "mouth", "valid", "frames")))
    return {"lips": lips, "mixture": mixture}


@torch.inference_mode()
def vocode(task: Any, given: Inputs, noise: Callable) -> Outputs:
    return {"wav": task.vocoder(given["mel"], given["f0"], noise)}


def loss(task: Any, given: Inputs, noise: Callable, turn: str) -> Outputs:
    """The loss of an optimisation target (then `turn`), with random numbers from `noise`."""
    for owner, method in ((task.diffusion, "loss"), (task.distillation, turn)):
        if hasattr(owner, method):
            _draw_from(noise, owner, method)
    batch = dict(given)
    if "mixture" not in given:
        batch["score"] = ScoreInputs(**{name: batch.pop(name) for name in SCORE})
    return {"loss": task(batch | {"seeds": [0] * len(given[min(given)])}, turn).loss}


def _draw_from(noise: Callable, owner: Any, method: str) -> None:
    original = getattr(type(owner), method).__get__(owner)

    def wrapped(*args: Any, **options: Any) -> Any:
        bound = inspect.signature(original).bind(*args, **options)
        bound.arguments["noise"] = noise
        return original(*bound.args, **bound.kwargs)

    setattr(owner, method, wrapped)


RUNS = {
    "sample": sample,
    "separate": sample,
    "probe": probe,
    "loudness": loudness,
    "vocode": vocode,
    "loss": loss,
}


# -- replaying ----------------------------------------------------------------------------------


@lru_cache
def recording(name: str) -> dict[str, Any]:
    with np.load(FOLDER / name / "recording.npz") as file:
        return {key: json.loads(str(file[key])) if key == "runs" else file[key] for key in file}


@lru_cache
def loaded(name: str) -> Any:
    return load(PACKED.get(name, FOLDER / name / "exp"))


def under(kept: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): torch.from_numpy(value)
        for key, value in kept.items()
        if key.startswith(prefix)
    }


class Replayed:
    """The recorded noise, in the order in which it was drawn."""

    def __init__(self, drawn: Iterator[Tensor]):
        self.left = list(drawn)

    def __call__(self, like: Tensor) -> Tensor:
        noise = self.left.pop(0)
        assert noise.shape == like.shape
        return noise


def cases() -> list[tuple[str, str]]:
    return [(name, run) for name in (*TRAINED, *PACKED) for run in recording(name)["runs"]]


@pytest.mark.parametrize(("name", "run"), cases())
def test_old_experiments_compute_what_they_did(name, run):
    kept = recording(name)
    about = dict(kept["runs"][run])
    compute = RUNS[about.pop("kind")]
    noise = Replayed(torch.from_numpy(kept[f"noise/{i}"]).float() for i in about.pop("noise"))
    found = compute(loaded(name), under(kept, "input/"), noise, **about)
    expected = under(kept, f"output/{run}/")
    assert found.keys() == expected.keys() and not noise.left
    for output, reference in expected.items():
        today = found[output].detach()
        assert today.shape == reference.shape and today.dtype == reference.dtype
        error, size = (x.double().norm().item() for x in (today - reference, reference))
        assert error <= TOLERANCE * size, f"{output}: {error / max(size, 1e-30):.2g}"


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("singing", [5, 1]),
        ("distilled", [1, 1]),
        ("separation", [2, 2, 2, 2]),
        ("vocoder", [2]),
    ],
)
def test_the_training_section_is_read(name, steps):
    """The fewest steps of each phase, among options whose names may change."""
    training = read_training(experiment.load(FOLDER / name / "exp").config)
    assert [phase.min_steps for phase in training.phases] == steps


def test_an_interrupted_training_resumes(tmp_path, monkeypatch):
    """From step 4 to 6, on the data beside it."""
    shutil.copytree(FOLDER / "vocoder" / "exp", tmp_path / "exp")
    shutil.copytree(FOLDER / "vocoder" / "dump", tmp_path / "dump")
    monkeypatch.chdir(tmp_path)
    assert experiment.load("exp").step == 4
    folders = ("--exp", "exp", "--train", "dump", "--assets", "exp/assets")
    assert main(["train", "--config", "exp/config.yaml", *folders]) == 0
    assert experiment.load("exp").step == 6
