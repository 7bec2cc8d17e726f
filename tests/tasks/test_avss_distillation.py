"""The distilled generator of separation: targets, teacher, and one-step samples."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from voicediff.data.separation.dataset import collate_mixtures
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import ConfigError
from voicediff.registry import Spec, build
from voicediff.tasks.avss.model import speaker_seeds

LIPS = {"name": "lip_stacks", "dim": 8, "channels": [4, 4], "layers": 1}
NCSNPP = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []}
PREDICTOR = {**NCSNPP, "centred": False}
GENERATOR = {
    "decoder": NCSNPP,
    "sde": {"name": "bridge"},
    "objective": {"name": "data"},
    "diffusion": {"residual_scale": 3.0},
}


def made(**options):
    torch.manual_seed(0)
    spec = {
        "name": "avss",
        "stft": {"n_fft": 126, "hop": 64},
        "encoders": {"lips": LIPS},
        **options,
    }
    task = build("task", Spec(spec, "task"))
    for parameter in task.parameters():
        if not parameter.any():  # zero layers would hide what is learned
            torch.nn.init.normal_(parameter, std=0.1)
    return task


def batch_of(count=3, voices=2):
    draw = np.random.default_rng(0)
    sources = 0.1 * draw.standard_normal((voices, count * 640)).astype(np.float32)
    item = {
        "utt": "mixture",
        "pair": "different-gender",
        "mixture": sources.sum(0),
        "sources": sources,
        "mouth": draw.integers(0, 255, (voices, count, 96, 96)).astype(np.uint8),
        "valid": np.ones((voices, count), bool),
        "face": draw.integers(0, 255, (voices, 224, 224, 3)).astype(np.uint8),
        "blind": np.zeros(voices, bool),
    }
    return collate_mixtures([item], [5])


@pytest.mark.parametrize("predictor", [None, PREDICTOR], ids=["mixture", "predictor"])
def test_only_the_student_is_trained_and_separates_in_one_step(predictor):
    task = made(
        predictor=predictor,
        **GENERATOR,
        distillation={"steps": 4, "sampler": {"name": "ddim", "steps": 3}},
    )
    task.begin(Path("exp/teacher"))
    before, batch = copy.deepcopy(task.state_dict()), batch_of()
    optimizer = torch.optim.Adam(task.diffusion.parameters(), 1e-3)
    for target in ("consistency", "reflow"):
        assert task.targets[target] == ("diffusion.",)
        losses = task.train()(batch, target)
        losses.loss.backward()
        optimizer.step()
        assert losses.loss.isfinite() and losses.by_item.shape == losses.t.shape == (2,)
    changed = {n for n, x in task.state_dict().items() if not torch.equal(x, before[n])}
    students = ("diffusion.decoder.", "distillation.target.")
    assert changed and all(name.startswith(students) for name in changed)
    inputs = (batch[k] for k in ("mixture", "mouth", "valid", "face", "frames"))
    sampler = build("sampler", {"name": "consistency", "steps": 1})
    found = task.eval().separate(*inputs, sampler, SeededNoise(speaker_seeds([5], 2)))
    assert found.nfe == 1 and found.tracks.isfinite().all()


def test_only_students_have_the_distillation_targets():
    assert not {"consistency", "reflow"} & set(made(**GENERATOR).targets)
    with pytest.raises(ConfigError, match=r"task\.distillation: there is no generator"):
        made(predictor=PREDICTOR, distillation={})
