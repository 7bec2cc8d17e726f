"""Seeded noise: standard normal, and independent of batch, padding and position."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from voicediff.diffusion.noise import PlacedNoise, SeededNoise, item_seed


def test_noise_is_standard_normal_and_uncorrelated():
    x = SeededNoise([3])(torch.zeros(1, 1, 80, 1000)).flatten().numpy()
    assert stats.kstest(x, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(x[:-80], x[80:])[0, 1]) < 0.02


def test_an_item_has_the_same_noise_in_every_batch():
    together = SeededNoise([1, 2, 3])(torch.zeros(3, 2, 4, 10))
    alone = SeededNoise([2])(torch.zeros(1, 2, 4, 10))
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])


def test_padding_does_not_change_the_first_frames():
    short, long = SeededNoise([5])(torch.zeros(1, 3, 10)), SeededNoise([5])(torch.zeros(1, 3, 17))
    assert torch.equal(short, long[..., :10])


def test_calls_differ_and_repeat_in_a_new_stream():
    noise, again = SeededNoise([5]), SeededNoise([5])
    like = torch.zeros(1, 3, 10)
    first, second = noise(like), noise(like)
    assert not torch.equal(first, second)
    assert torch.equal(again(like), first) and torch.equal(again(like), second)


def test_dtype_follows_the_argument():
    like = torch.zeros(1, 3, 10, dtype=torch.float64)
    noise = SeededNoise([5])(like)
    assert noise.dtype == torch.float64 and noise.shape == like.shape
    torch.testing.assert_close(noise.float(), SeededNoise([5])(like.float()))


def test_a_batch_of_another_size_raises():
    with pytest.raises(ValueError, match="2 seeds for a batch of 3"):
        SeededNoise([1, 2])(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="2 windows for a batch of 3"):
        PlacedNoise(0, [1, 2])(torch.zeros(3, 4))


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 200])
def test_windows_share_their_noise_where_they_overlap(frames):
    whole = PlacedNoise(9, [0])(torch.zeros(1, 2, 500))
    for start in (0, 1, 63, 64, 100, 300):
        window = PlacedNoise(9, [start])(torch.zeros(1, 2, frames))
        assert torch.equal(window, whole[..., start : start + frames])


def test_placed_noise_is_standard_normal_over_blocks():
    x = PlacedNoise(9, [0])(torch.zeros(1, 40, 2000)).flatten().numpy()
    assert stats.kstest(x, "norm").pvalue > 1e-3


def test_item_seeds_differ_and_are_the_same_on_every_machine():
    seeds = {
        item_seed(seed, epoch, item)
        for seed in range(4)
        for epoch in range(20)
        for item in range(500)
    }
    assert len(seeds) == 4 * 20 * 500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert item_seed(1, 0, "utt1") == item_seed(1, 0, "utt1") != item_seed(1, 0, "utt2")
    assert item_seed("a", "b") != item_seed("a/c", "b")


def test_large_batches_drawn_by_several_threads_have_the_noise_of_each_item():
    like = torch.zeros(4, 2, 16, 1 << 15)  # large enough for threads
    together = SeededNoise([7, 8, 9, 7])(like)
    assert torch.equal(together[1:2], SeededNoise([8])(like[1:2]))
    assert torch.equal(together[0], together[3])
    assert not torch.equal(together[0], together[2])
