"""What a batch becomes before networks see it."""

from __future__ import annotations

import pytest
import torch
from test_avss_networks import batch_of
from test_avss_others import separated, task_with

from voicediff.tasks.avss_scene import standing_still


@pytest.mark.parametrize("run", (1, 8, 9, 12, 20))
@pytest.mark.parametrize("start", (0, 5, None))
def test_only_pictures_that_stand_still_for_long_stand_still(run, start):
    frames = 20
    first = frames - run if start is None else min(start, frames - run)
    mouth = torch.arange(frames, dtype=torch.uint8)[:, None, None].repeat(1, 96, 96)
    mouth[first : first + run] = mouth[first]
    wanted = torch.zeros(frames, dtype=torch.bool)
    wanted[first : first + run] = run >= 9
    assert torch.equal(standing_still(mouth), wanted)


def test_one_pixel_is_movement_and_voices_do_not_touch():
    mouth = torch.zeros(2, 3, 12, 96, 96, dtype=torch.uint8)
    mouth[1, 2, ::2, 95, 95] = 1
    still = standing_still(mouth)
    assert still.all(-1).sum() == 5
    assert not still[1, 2].any()
    assert not standing_still(mouth[:, :, :8]).any()


def test_a_video_that_stands_still_is_worth_no_more_than_none():
    task, batch = task_with("lips"), batch_of(frames=(12,))
    frozen = {**batch, "mouth": batch["mouth"].clone()}
    frozen["mouth"][:, 0] = frozen["mouth"][:, 0, :1]
    missing = {**batch, "valid": batch["valid"].clone()}
    missing["valid"][:, 0] = False
    assert torch.equal(separated(task, frozen), separated(task, missing))
    assert not torch.equal(separated(task, frozen), separated(task, batch))
