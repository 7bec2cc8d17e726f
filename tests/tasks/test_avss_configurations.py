"""The configurations of separation: each trains and separates, sizes and budgets are what they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from voicediff.config import read_yaml
from voicediff.data.separation.dataset import collate_mixtures
from voicediff.diffusion.noise import SeededNoise
from voicediff.experiment import read_config
from voicediff.networks.cost import macs, parameters
from voicediff.registry import build
from voicediff.tasks.avss.model import speaker_seeds
from voicediff.training.options import read_training
from voicediff.training.targets import build_targets

CONF = Path(__file__).parents[2] / "egs" / "lrs3" / "avss" / "conf"
FILES = sorted(CONF.glob("train_*.yaml"))
SECOND = 25  # frames of video
#: networks for GPUs, narrowed so that a CPU makes a step in a second; levels and wiring stay
NARROW = {
    "ncsnpp": {"channels": 8, "channels_last": False},
    "tfgrid": {"channels": 8, "hidden": 8},
    "patch_unet": {"channels": [8, 8, 8, 8]},
    "patch_mask": {"channels": [8, 8, 8, 8]},
    "lips3d": {"width": 4, "multiplier": 0.5, "layers": 1},
    "talknet": {"blocks": 1},
    "face_resnet18": {"width": 4},
}


def batch_of(voices=2, frames=4):
    draw = np.random.default_rng(0)
    sources = 0.1 * draw.standard_normal((voices, frames * 640)).astype(np.float32)
    item = {
        "utt": "one",
        "pair": "different-gender",
        "mixture": sources.sum(0) + 0.05 * draw.standard_normal(frames * 640).astype(np.float32),
        "sources": sources,
        "mouth": draw.integers(0, 255, (voices, frames, 96, 96)).astype(np.uint8),
        "valid": np.ones((voices, frames), bool),
        "face": draw.integers(0, 255, (voices, 224, 224, 3)).astype(np.uint8),
        "blind": np.zeros(voices, bool),
    }
    return collate_mixtures([item], [3])


def inputs(batch):
    return [batch[name] for name in ("mixture", "mouth", "valid", "face", "frames")]


def narrowed(path):
    """Overrides that bring a configuration's networks to a width for tests."""
    task = read_yaml(path)["task"]
    parts = {f"encoders.{name}": spec for name, spec in task["encoders"].items()}
    parts |= {kind: task.get(kind) for kind in ("predictor", "decoder")}
    return [
        f"task.{at}.{option}={value}"
        for at, spec in parts.items()
        if spec is not None
        for option, value in NARROW.get(spec["name"], {}).items()
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_trains_a_step_of_each_target_and_separates(path):
    config = read_config(path, narrowed(path))
    task, training = config.build_task(), read_training(config)
    voices = training.phases[-1].data.get("num_speakers", 2)
    batch, done = batch_of(voices), set()
    for target in (target for targets in build_targets(training, task) for target in targets):
        if target.name in done:
            continue
        done.add(target.name)
        biases = [parameter for parameter in target.parameters if parameter.dim() == 1]
        before = torch.cat([bias.detach().clone() for bias in biases])
        loss = task.train()(batch, target.name).loss
        loss.backward()
        target.set_rate(50, 100)
        target.optimizer.step()
        assert loss.isfinite()
        assert not torch.equal(torch.cat([bias.detach() for bias in biases]), before)
    sampler = None if task.diffusion is None else config.build_sampler().with_nfe(2)
    found = task.eval().separate(*inputs(batch), sampler, SeededNoise(speaker_seeds([3], voices)))
    assert found.tracks.isfinite().all() and found.tracks.shape == batch["sources"].shape
    assert found.nfe == (0 if sampler is None else sampler.nfe)


@cache
def cost(name):
    """(millions of parameters of encoders, predictor and decoder; GMAC per second of a pass and a call).

    A pass is encoders and predictor; a call is one of the decoder.
    """
    task = read_config(CONF / f"{name}.yaml").build_task().eval()
    task.bf16, batch = False, batch_of(1, SECOND)
    noise, counts = SeededNoise(speaker_seeds([3], 1)), [0, 0, 0]
    samplers = [None]
    if task.diffusion is not None:
        samplers += [build("sampler", {"name": "euler", "steps": n}) for n in (1, 2)]
    for i, sampler in enumerate(samplers):
        counts[i] = macs(lambda s=sampler: task.separate(*inputs(batch), s, noise)) / 1e9
    encoders = parameters(task.lips) + parameters(task.identity)
    parts = (encoders, parameters(task.predictor), parameters(task.diffusion))
    return [n / 1e6 for n in parts], counts[0], counts[2] - counts[1]


def test_tiny_needs_4_gmac_per_second_at_nfe_4():
    sizes, first, call = cost("train_tiny")
    assert sum(sizes) < 4 and first + 4 * call < 4


def test_compact_stays_below_20_gflop_per_second_and_evaluation():
    sizes, first, call = cost("train_compact")
    assert sum(sizes) < 20 and 2 * first < 20 and 2 * call < 20


def test_base_has_28_million_parameters_in_each_network():
    config = read_config(CONF / "train_base.yaml")
    task = config.build_task()
    assert 27e6 < parameters(task.predictor) < 30e6
    assert 27e6 < parameters(task.diffusion) < 30e6


def test_tfgrid_stays_below_7_million_parameters_with_the_lip_encoder():
    sizes, first, _ = cost("train_tfgrid")
    assert sum(sizes) < 7 and first < 20


def test_the_compact_model_has_the_shapes_of_the_reported_run():
    run = CONF.parent / "runs" / "compact_mini_h200" / "config.yaml"
    reported, now = (
        {name: weight.shape for name, weight in read_config(path).build_task().named_parameters()}
        for path in (run, CONF / "train_compact_mini.yaml")
    )
    assert now == reported


def mixtures_seen(name):
    training = read_training(read_config(CONF / f"{name}.yaml"))
    return sum(phase.steps * phase.batch_size * phase.accumulate for phase in training.phases)


@pytest.mark.parametrize(
    "name", ["train_approach1_ouve_mini", "train_approach1_bridge_mini", "train_avdiffuss_mini"]
)
def test_compared_configurations_train_on_the_same_data(name):
    assert mixtures_seen(name) == mixtures_seen("train_mini")
    ours, theirs = (read_yaml(CONF / f"{n}.yaml")["task"] for n in (name, "train_mini"))
    for what in ("stft", "augmentation"):
        assert ours[what] == theirs[what]
    assert ours["encoders"] == theirs["encoders"]
