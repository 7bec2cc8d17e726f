"""The condition `others`, video offsets, and mixture consistency."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_avss_networks import LIPS, NCSNPP, batch_of, made

from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import ConfigError
from voicediff.inference.separation import Scene, SceneSeparator
from voicediff.networks.losses import si_sdr
from voicediff.tasks.avss.inference import speaker_seeds
from voicediff.tasks.avss.losses import unknown_speakers

PREDICTOR = {**NCSNPP, "centred": False}


def task_with(*sees, **options):
    options = {"encoders": {"lips": LIPS}, "predictor": PREDICTOR, **options}
    return made(predictor_conditions=list(sees), **options).eval()


def separated(task, batch, **options):
    inputs = [batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")]
    noise = SeededNoise(speaker_seeds(batch["seeds"], batch["mouth"].shape[1]))
    return task.separate(*inputs, None, noise, **options).tracks


def other_video(batch, voice):
    mouth = batch["mouth"].clone()
    mouth[:, voice] = 255 - mouth[:, voice]
    return {**batch, "mouth": mouth}


def test_tracks_depend_on_other_videos_only_with_the_condition_others():
    batch = batch_of()
    for sees, same in ((("lips",), True), (("lips", "others"), False)):
        task = task_with(*sees)
        before, after = separated(task, batch), separated(task, other_video(batch, 1))
        assert torch.allclose(before[:, 0], after[:, 0], atol=1e-6) == same
        assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-6)


def test_exchanged_videos_exchange_the_tracks():
    task, batch = task_with("lips", "others"), batch_of(frames=(4,))
    turned = {**batch, "mouth": batch["mouth"].flip(1), "valid": batch["valid"].flip(1)}
    assert torch.allclose(separated(task, turned).flip(1), separated(task, batch), atol=1e-5)


def test_others_is_the_mean_of_the_other_speakers_or_zero():
    for voices in (1, 2, 3):
        task, batch = task_with("lips", "others"), batch_of(frames=(4,), voices=voices)
        scene = task._scene(batch)
        frames = task._conditions(scene).frames
        for voice in range(voices):
            rest = [frames["lips"][other] for other in range(voices) if other != voice]
            wanted = sum(rest) / len(rest) if rest else torch.zeros_like(frames["lips"][0])
            assert torch.allclose(frames["others"][voice], wanted, atol=1e-6)


def test_drop_others_removes_the_condition_in_training():
    task = task_with("lips", "others", losses={"envelope": 0.0})
    batch = batch_of(frames=(4,)) | {"alone": torch.tensor([[True, False]])}
    by_item = [task(b, "predictor").by_item for b in (batch, other_video(batch, 1))]
    assert torch.allclose(by_item[0][0], by_item[1][0], atol=1e-5)
    batch["alone"] = torch.zeros(1, 2, dtype=torch.bool)
    by_item = [task(b, "predictor").by_item for b in (batch, other_video(batch, 1))]
    assert not torch.allclose(by_item[0][0], by_item[1][0], atol=1e-5)


def test_the_target_is_the_mixture_only_where_exclusion_does_not_identify_the_speaker():
    no_video = torch.tensor([[True, False], [True, True]])
    assert torch.equal(unknown_speakers(no_video, None, uses_others=False), no_video.flatten())
    assert unknown_speakers(no_video, None, True).tolist() == [False, False, True, True]
    dropped = torch.tensor([True, True, False, False])
    assert unknown_speakers(no_video, dropped, True).tolist() == [True, False, True, True]


def test_others_requires_a_lip_encoder():
    with pytest.raises(ConfigError, match="others"):
        made(predictor=PREDICTOR, predictor_conditions=["others"])


def recording(frames):
    """One voice whose loudness jumps from frame to frame, and a mouth that is as bright as it is loud."""
    loud = np.random.default_rng(1).uniform(0.02, 1, frames).astype(np.float32)
    batch = batch_of(frames=(frames,), voices=1)
    batch["mixture"] = batch["mixture"] * torch.from_numpy(loud).repeat_interleave(640)
    light = (255 * torch.from_numpy(loud) / 2).to(torch.uint8)
    batch["mouth"] = light[None, None, :, None, None].repeat(1, 1, 1, 96, 96)
    return batch


def loudness_from_brightness(max_lag):
    """A task whose lips are the mean of each picture, and the envelope its logarithm."""
    task = task_with("lips", synchrony={"max_lag": max_lag})

    class Brightness(torch.nn.Module):
        dim = task.lips.dim

        def forward(self, mouth, valid):
            light = mouth.mean((2, 3)) - mouth.mean((2, 3)).min() + 0.02
            return light.log10()[..., None].expand(-1, -1, self.dim) / self.dim

    task.lips = Brightness()
    torch.nn.init.ones_(task.envelope.weight)
    torch.nn.init.zeros_(task.envelope.bias)
    return task


def test_late_videos_are_shifted():
    task, batch = loudness_from_brightness(max_lag=4), recording(30)
    mixture, mouth, *rest = (batch[k] for k in ("mixture", "mouth", "valid", "face", "frames"))
    noise = SeededNoise(speaker_seeds([0], 1))
    for lag in (0, 3, -2):
        found = task.separate(mixture, mouth.roll(lag, 2), *rest, None, noise)
        assert found.lags.tolist() == [[lag]]
    given = task.separate(mixture, mouth.roll(3, 2), *rest, None, noise, lags=torch.tensor([[0]]))
    assert given.lags.tolist() == [[0]]


def test_a_long_recording_has_one_lag_for_all_its_chunks():
    batch = recording(70)
    mouth = batch["mouth"][0].roll(3, 1).numpy()
    scene = Scene(
        batch["mixture"][0].numpy(), mouth, batch["valid"][0].numpy(), batch["face"][0].numpy()
    )
    separator = SceneSeparator(loudness_from_brightness(max_lag=4), None, longest=1.0, overlap=0.2)
    tracks = separator.tracks(scene)
    assert separator.lags == (3,) and tracks.shape == (1, len(scene.mixture))
    asleep = SceneSeparator(separator.task, None, longest=1.0, overlap=0.2, synchronise=False)
    assert not np.allclose(asleep.tracks(scene), tracks, atol=1e-5) and asleep.lags == (0,)


@pytest.mark.parametrize("voices", [2, 3])
def test_mixture_consistency_splits_the_residual_equally(voices):
    batch = batch_of(frames=(8, 8), voices=voices)
    task = task_with("lips", "others")
    plain, task.mixture_consistency = separated(task, batch), True
    missing = batch["mixture"][:, None] - plain.sum(1, keepdim=True)
    assert missing.abs().max() > 0.1 * batch["mixture"].abs().max()
    found = separated(task, batch)
    torch.testing.assert_close(found, plain + missing / voices, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.sum(1), batch["mixture"], atol=1e-5, rtol=1e-4)


def test_no_residual_is_split_for_one_speaker_or_with_dropped_others():
    batch = batch_of(frames=(8,), voices=1)
    task = task_with("lips")
    plain, task.mixture_consistency = separated(task, batch), True
    assert torch.equal(separated(task, batch), plain)
    batch = batch_of(frames=(4, 4))
    scene = task._scene(batch)
    scene.others_dropped = torch.tensor([False, True, False, False])
    sounds = torch.randn_like(scene.mixture)
    found = scene.mixture_consistent(sounds)
    assert torch.equal(found[:2], sounds[:2])
    torch.testing.assert_close(found[2] + found[3], scene.mixture[2])


def test_the_loss_is_that_of_the_consistent_tracks():
    batch = batch_of(frames=(8,))
    task = task_with("lips", "others", losses={"envelope": 0.0, "degradation_penalty": 0.0})
    apart = task(batch, "predictor").by_item
    task.mixture_consistency = True
    together = task(batch, "predictor").by_item
    assert not torch.allclose(apart, together, atol=1e-3)
    found = separated(task, batch)[0]
    wanted = -si_sdr(found, batch["sources"][0], batch["frames"].repeat(2) * 640, 30.0)
    torch.testing.assert_close(together, wanted, atol=1e-2, rtol=1e-3)


def test_mixture_consistency_with_noise_is_refused(tmp_path):
    task = task_with("lips", mixture_consistency=True)
    with pytest.raises(ConfigError, match=r"task\.mixture_consistency"):
        task.dataset(tmp_path, True, {"noise": [-15.0, 0.0]})
