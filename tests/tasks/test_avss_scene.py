"""What a batch becomes before networks see it."""

from __future__ import annotations

import pytest
import torch
from test_avss_networks import batch_of
from test_avss_others import separated, task_with

from voicediff.errors import ConfigError
from voicediff.tasks.avss.inference import blend_ambiguous
from voicediff.tasks.avss.scene import frozen_frames


@pytest.mark.parametrize("run", (1, 8, 9, 12, 20))
@pytest.mark.parametrize("start", (0, 5, None))
def test_only_long_runs_of_identical_frames_are_frozen(run, start):
    frames = 20
    first = frames - run if start is None else min(start, frames - run)
    mouth = torch.arange(frames, dtype=torch.uint8)[:, None, None].repeat(1, 96, 96)
    mouth[first : first + run] = mouth[first]
    wanted = torch.zeros(frames, dtype=torch.bool)
    wanted[first : first + run] = run >= 9
    assert torch.equal(frozen_frames(mouth), wanted)


def test_one_changed_pixel_is_movement_and_speakers_are_independent():
    mouth = torch.zeros(2, 3, 12, 96, 96, dtype=torch.uint8)
    mouth[1, 2, ::2, 95, 95] = 1
    still = frozen_frames(mouth)
    assert still.all(-1).sum() == 5
    assert not still[1, 2].any()
    assert not frozen_frames(mouth[:, :, :8]).any()


def test_a_frozen_video_is_treated_as_missing():
    task, batch = task_with("lips"), batch_of(frames=(12,))
    frozen = {**batch, "mouth": batch["mouth"].clone()}
    frozen["mouth"][:, 0] = frozen["mouth"][:, 0, :1]
    missing = {**batch, "valid": batch["valid"].clone()}
    missing["valid"][:, 0] = False
    assert torch.equal(separated(task, frozen), separated(task, missing))
    assert not torch.equal(separated(task, frozen), separated(task, batch))


def voices_that_correlate(r):
    """Two voices (1, 2, 4000) of unit power with correlation r."""
    one, other = torch.linalg.qr(torch.randn(4000, 2, dtype=torch.float64)).Q.mT
    return torch.stack([one, r * one + (1 - r * r) ** 0.5 * other])[None]


@pytest.mark.parametrize(
    ("r", "kept"), [(-0.5, 1.0), (0.2, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)]
)
def test_similar_tracks_are_blended_with_the_mixture(r, kept):
    voices = voices_that_correlate(r)
    mixture = torch.randn(1, 4000, dtype=torch.float64)
    found = blend_ambiguous(voices, mixture, 0.5)
    torch.testing.assert_close(found, kept * voices + (1 - kept) * mixture[:, None])
    assert blend_ambiguous(voices, mixture, 0.0) is voices
    assert blend_ambiguous(voices[:, :1], mixture, 0.5).equal(voices[:, :1])


def test_of_three_tracks_only_the_two_similar_ones_are_blended():
    one, two, third = torch.linalg.qr(torch.randn(4000, 3, dtype=torch.float64)).Q.mT
    voices = torch.stack([one, 0.9 * one + 0.19**0.5 * two, third])[None]
    mixture = torch.randn(1, 4000, dtype=torch.float64)
    found = blend_ambiguous(voices, mixture, 0.5)
    torch.testing.assert_close(found[:, 2], voices[:, 2])
    left = mixture - voices[:, 2]
    torch.testing.assert_close(found[:, :2], 0.2 * voices[:, :2] + 0.8 * left[:, None])


def test_separate_blends_ambiguous_tracks():
    task, batch = task_with("lips"), batch_of()
    plain, task.ambiguity_threshold = separated(task, batch), 1.0
    wanted = blend_ambiguous(plain, batch["mixture"], 1.0)
    assert not torch.allclose(wanted, plain, atol=1e-3)
    torch.testing.assert_close(separated(task, batch), wanted, atol=1e-5, rtol=1e-4)


def test_a_quiet_copy_of_a_track_blends_neither():
    voices = voices_that_correlate(0.99) * torch.tensor([[[1.0], [0.1]]])
    assert blend_ambiguous(voices, torch.randn(1, 4000, dtype=torch.float64), 0.5).equal(voices)


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(ConfigError, match=r"task\.ambiguity_threshold"):
        task_with("lips", ambiguity_threshold=threshold)
