"""Singing steered: guidance by condition, shallow starts, kept frames; the options and their errors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from voicediff.config import override, read_yaml
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import ConfigError
from voicediff.music.score import Note, Score
from voicediff.registry import Spec, build
from voicediff.tasks.svs.inference import Kept

CONF = Path(__file__).parents[2] / "egs" / "csd" / "svs" / "conf" / "train_smoke.yaml"
SCORE = Score(tuple(Note(0.1 + 0.3 * i, 0.38 + 0.3 * i, 60 + i, "나") for i in range(3)), 1.1)


def singer(*assignments: str):
    content = override(read_yaml(CONF), assignments)
    torch.manual_seed(0)
    task = build("task", Spec(content["task"], "task")).eval()
    for parameter in task.parameters():
        if not parameter.any():  # zero layers would hide what a condition does
            torch.nn.init.normal_(parameter, std=0.1)
    return task


def sing(task, steps=2, **options):
    scores, _ = task.inputs([SCORE])
    sampler = build("sampler", {"name": "dpm_solver", "steps": steps})
    return task.generate(scores, sampler, SeededNoise([1]), **options)


GUIDED = (
    "task.decoder_conditions=[text, pitch, harmonics]",
    "task.diffusion.drop={text: 0.1, pitch: 0.2}",
)


def test_text_and_pitch_are_separate_conditions_with_a_scale_each():
    task = singer(*GUIDED)
    plain, text, pitch, both = (
        sing(task, guidance=g).mel
        for g in ({}, {"text": 1.0}, {"pitch": 1.0}, {"text": 1.0, "pitch": 1.0})
    )
    for one, two in ((plain, text), (plain, pitch), (text, pitch), (both, text), (both, pitch)):
        assert (one - two).abs().max() > 1e-3


def test_scale_0_changes_nothing_and_costs_nothing():
    task = singer(*GUIDED)
    calls = []
    hook = task.diffusion.decoder.register_forward_hook(lambda *args: calls.append(1))
    plain = sing(task).mel
    assert len(calls) == 2
    torch.testing.assert_close(sing(task, guidance={"text": 0.0}).mel, plain)
    assert len(calls) == 4
    sing(task, guidance={"text": 0.5})
    assert len(calls) == 8
    hook.remove()


def test_the_configured_guidance_is_the_default():
    task = singer(*GUIDED, "task.guidance={text: 1.0}")
    torch.testing.assert_close(sing(task).mel, sing(task, guidance={"text": 1.0}).mel)
    assert (sing(task, guidance={}).mel - sing(task).mel).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("task.guidance={states: 1.0}", "guidance.states: this condition was not dropped"),
        (
            "task.diffusion.drop={lips: 0.1}",
            "not a condition of the decoder: lips; choices: states, harm",
        ),
        ("task.shallow=0.9", "shallow: must be above 0.01 and at most 0.7, found 0.9"),
    ],
)
def test_invalid_options_are_reported_when_the_model_is_built(assignment, said):
    with pytest.raises(ConfigError, match=said):
        singer(assignment)


@pytest.mark.parametrize("shallow", [None, 0.4])
def test_shallow_sampling_starts_at_the_noised_mean(shallow):
    """From t_max a process without a mean starts at pure noise."""
    ddpm = ("task.sde={name: ddpm}", "task.objective={name: data}")
    task = singer(*ddpm, *[f"task.shallow={shallow}"] * (shallow is not None))
    scores, _ = task.inputs([SCORE])
    mean = task.normalization(task.generate(scores, None, SeededNoise([1])).mel)
    seen = []
    task.diffusion.decoder.register_forward_pre_hook(lambda module, args: seen.append(args))
    sing(task, steps=3, noise_scale=0.0)
    x, t = seen[0][:2]
    start = torch.tensor([1.0 if shallow is None else shallow])
    a = 0.0 if shallow is None else task.diffusion.sde.a(start)
    assert t == start
    torch.testing.assert_close(x[:, 0] * scores.mask, a * mean * scores.mask, atol=1e-4, rtol=1e-4)


def test_given_frames_are_kept_and_change_their_neighbours():
    task = singer()
    scores, _ = task.inputs([SCORE])
    frames = scores.mask.shape[1]
    where = torch.zeros(1, frames, dtype=torch.bool)
    where[:, 20:40] = True
    mel = torch.full((1, task.mel.n_mels, frames), -3.0)
    plain, kept = sing(task, steps=4).mel, sing(task, steps=4, kept=Kept(mel, where)).mel
    torch.testing.assert_close(kept[:, :, 20:40], mel[:, :, 20:40])
    assert (kept - plain)[:, :, 41:50].abs().max() > 1e-3
    mean = task.generate(scores, None, SeededNoise([1]), kept=Kept(mel, where)).mel
    torch.testing.assert_close(mean[:, :, 20:40], mel[:, :, 20:40])


def test_normalize_range_maps_its_ends_to_minus_one_and_one():
    task = singer("task.normalize=range", "task.mel_range=[-11.0, 1.0]")
    ends = torch.tensor([-11.0, 1.0]).expand(task.mel.n_mels, 2)
    torch.testing.assert_close(task.normalization(ends), torch.tensor([-1.0, 1.0]).expand_as(ends))
    assert np.isfinite(sing(task).mel.numpy()).all()
