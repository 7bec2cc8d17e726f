"""Each task trains a step and is used on a device without float64, such as Apple's GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from apple_gpu import DEVICE, pretend
from test_avss_networks import batch_of
from test_svs_configurations import batch_of as singing_batch
from test_vocoder_training import TINY, tone
from torch import Tensor

from voicediff.audio import log_mel
from voicediff.config import dump_yaml
from voicediff.diffusion.noise import SeededNoise
from voicediff.experiment import read_config
from voicediff.registry import build
from voicediff.tasks.avss.model import speaker_seeds
from voicediff.training.options import read_training
from voicediff.training.targets import build_targets

EGS = Path(__file__).parents[2] / "egs"


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    with pretend(monkeypatch):
        yield


def moved(batch):
    if dataclasses.is_dataclass(batch):
        return batch.to(DEVICE)
    if isinstance(batch, dict):
        return {name: moved(value) for name, value in batch.items()}
    return batch.to(DEVICE) if isinstance(batch, Tensor) else batch


def trained(config, task, batch):
    """The task on the device after a step of every target."""
    task.to(DEVICE).train()
    for targets in build_targets(read_training(config), task):
        for target in targets:
            before = [parameter.detach().cpu() for parameter in target.parameters]
            losses = task(batch, target.name)
            losses.loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(target.parameters, 1.0)
            target.set_rate(50, 100)
            for group in target.optimizer.param_groups:
                group["fused"] = (
                    False  # Apple's GPU has such a step, the device of this test has not
                )
            target.optimizer.step()
            target.optimizer.zero_grad()
            assert losses.loss.device == DEVICE and losses.loss.isfinite() and norm.isfinite()
            after = [parameter.detach().cpu() for parameter in target.parameters]
            assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    return task.eval()


def test_singing():
    config = read_config(EGS / "csd/svs/conf/train_smoke.yaml")
    task = config.build_task()
    batch = moved(singing_batch(task))
    trained(config, task, batch)
    song = task.generate(batch["score"], config.build_sampler(), SeededNoise([1]))
    wav = build("vocoder", {"name": "harmonic"}, spec=task.mel)(song.mel, song.f0, SeededNoise([1]))
    assert wav.device == DEVICE and wav.isfinite().all() and wav.abs().max() > 0


def test_separation():
    config = read_config(EGS / "lrs3/avss/conf/train_smoke.yaml")
    task = config.build_task()
    batch = moved(batch_of())
    trained(config, task, batch)
    inputs = [batch[name] for name in ("mixture", "mouth", "valid", "face", "frames")]
    noise = SeededNoise(speaker_seeds(batch["seeds"], 2))
    voices = task.separate(*inputs, config.build_sampler(), noise).tracks
    assert voices.device == DEVICE and voices.isfinite().all() and voices.abs().max() > 0


def test_vocoders(tmp_path):
    (tmp_path / "conf.yaml").write_text(dump_yaml(TINY))
    config = read_config(tmp_path / "conf.yaml")
    task = config.build_task()
    wav = torch.from_numpy(tone(220.0, 0.3))[None]
    mel = log_mel(wav, task.mel)
    wav = wav[:, : mel.shape[-1] * task.mel.hop]
    wav = torch.nn.functional.pad(wav, (0, mel.shape[-1] * task.mel.hop - wav.shape[1]))
    f0 = torch.full((1, mel.shape[-1]), 220.0)
    batch = moved({"utts": ["a"], "seeds": [1], "wav": wav, "mel": mel, "f0": f0})
    assert trained(config, task, batch).make(batch).isfinite().all()
