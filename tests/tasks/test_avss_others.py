"""What the lips of the other voices tell, and videos that are moved into time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_avss_networks import LIPS, NCSNPP, batch_of, made

from voicediff.errors import ConfigError
from voicediff.noise import SeededNoise
from voicediff.tasks.avss import voice_seeds

PREDICTOR = {**NCSNPP, "centred": False}


def task_with(*sees, **options):
    options = {"encoders": {"lips": LIPS}, "predictor": PREDICTOR, **options}
    return made(predictor_sees=list(sees), **options).eval()


def separated(task, batch, **options):
    inputs = [batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")]
    noise = SeededNoise(voice_seeds(batch["seeds"], batch["mouth"].shape[1]))
    return task.separate(*inputs, None, noise, **options).voices


def other_video(batch, voice):
    mouth = batch["mouth"].clone()
    mouth[:, voice] = 255 - mouth[:, voice]
    return {**batch, "mouth": mouth}


def test_a_voice_hears_of_the_others_only_if_it_is_built_to():
    batch = batch_of()
    for sees, same in ((("lips",), True), (("lips", "others"), False)):
        task = task_with(*sees)
        before, after = separated(task, batch), separated(task, other_video(batch, 1))
        assert torch.allclose(before[:, 0], after[:, 0], atol=1e-6) == same
        assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-6)


def test_voices_are_exchanged_with_their_videos():
    task, batch = task_with("lips", "others"), batch_of(frames=(4,))
    turned = {**batch, "mouth": batch["mouth"].flip(1), "valid": batch["valid"].flip(1)}
    assert torch.allclose(separated(task, turned).flip(1), separated(task, batch), atol=1e-5)


def test_the_others_are_their_mean_and_nothing_where_there_are_none():
    for voices in (1, 2, 3):
        task, batch = task_with("lips", "others"), batch_of(frames=(4,), voices=voices)
        scene = task._scene(*(batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")))
        frames = task._conditions(scene).frames
        for voice in range(voices):
            rest = [frames["lips"][other] for other in range(voices) if other != voice]
            wanted = sum(rest) / len(rest) if rest else torch.zeros_like(frames["lips"][0])
            assert torch.allclose(frames["others"][voice], wanted, atol=1e-6)


def test_who_is_alone_in_training_is_told_nothing_of_the_others():
    task = task_with("lips", "others", losses={"envelope": 0.0})
    batch = batch_of(frames=(4,)) | {"alone": torch.tensor([[True, False]])}
    by_item = [task(b, "predictor").by_item for b in (batch, other_video(batch, 1))]
    assert torch.allclose(by_item[0][0], by_item[1][0], atol=1e-5)
    batch["alone"] = torch.zeros(1, 2, dtype=torch.bool)
    by_item = [task(b, "predictor").by_item for b in (batch, other_video(batch, 1))]
    assert not torch.allclose(by_item[0][0], by_item[1][0], atol=1e-5)


def test_the_mixture_is_asked_for_only_where_exclusion_does_not_tell():
    batch = batch_of(frames=(4, 4))
    scene = task_with("lips")._scene(
        *(batch[k] for k in ("mixture", "mouth", "valid", "face", "frames"))
    )
    blind = torch.tensor([[True, False], [True, True]])
    batch["blind"] = blind
    assert torch.equal(task_with("lips")._unknown(batch, scene), blind.flatten())
    task = task_with("lips", "others")
    assert task._unknown(batch, scene).tolist() == [False, False, True, True]
    scene.alone = torch.tensor([True, True, False, False])
    assert task._unknown(batch, scene).tolist() == [True, False, True, True]


def test_others_want_lips():
    with pytest.raises(ConfigError, match="others"):
        made(predictor=PREDICTOR, predictor_sees=["others"])


def test_videos_that_come_late_are_moved():
    """Lips that tell loudness exactly: whatever the lag, the same video reaches the predictor."""
    task = task_with("lips", synchrony={"reach": 4})
    draw = np.random.default_rng(1)
    loud = draw.uniform(0.02, 1, 30).astype(np.float32)
    batch = batch_of(frames=(30,), voices=1)
    batch["mixture"] = batch["mixture"] * torch.from_numpy(loud).repeat_interleave(640)
    batch["mouth"] = (255 * torch.from_numpy(loud) / 2)[None, None, :, None, None].expand(
        1, 1, 30, 96, 96
    ).to(torch.uint8)  # fmt: skip
    tell_by_brightness(task)
    scene_inputs = [batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")]
    noise = SeededNoise(voice_seeds([0], 1))
    for lag in (0, 3, -2):
        scene_inputs[1] = batch["mouth"].roll(lag, 2)
        assert task.separate(*scene_inputs, None, noise).lags.tolist() == [[lag]]
    given = task.separate(*scene_inputs, None, noise, lags=torch.tensor([[0]]))
    assert given.lags.tolist() == [[0]]


def tell_by_brightness(task):
    """Replace the lips by the mean of each picture, and the envelope by its logarithm."""

    class Brightness(torch.nn.Module):
        dim = task.lips.dim

        def forward(self, mouth, valid):
            light = mouth.mean((2, 3)) - mouth.mean((2, 3)).min() + 0.02
            return light.log10()[..., None].expand(-1, -1, self.dim) / self.dim

    task.lips = Brightness()
    torch.nn.init.ones_(task.envelope.weight)
    torch.nn.init.zeros_(task.envelope.bias)
