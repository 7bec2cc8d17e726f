"""Offsets of early and late videos are estimated and corrected."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voicediff.inference.separation import Scene
from voicediff.tasks.avss.synchrony import Synchrony, evidence, find_lags, shifted

OPTIONS = Synchrony(max_lag=8)


def loudness(voices: int, frames: int, seed: int = 0) -> torch.Tensor:
    """(S, T, 4) log10 powers that change as slowly as speech's."""
    draw = torch.Generator().manual_seed(seed)
    rough = torch.randn(voices, 4, frames + 2, generator=draw)
    return torch.nn.functional.avg_pool1d(rough, 3, 1).mT


def late(voice: torch.Tensor, lag: int) -> torch.Tensor:
    return voice[(torch.arange(len(voice)) - lag).clamp(0, len(voice) - 1)]


@pytest.mark.parametrize("lags", [(0, 0), (3, 3), (-8, -8), (5, -2), (0, 7), (1, 1)])
def test_lags_of_two_speakers_are_found(lags):
    voices = loudness(2, 60)
    heard = torch.log10((10**voices).sum(0))
    told = torch.stack([late(v, lag) for v, lag in zip(voices, lags, strict=True)])
    told = told + 0.1 * torch.randn(told.shape, generator=torch.Generator().manual_seed(1))
    assert find_lags(told, heard, torch.ones(2, 60, dtype=torch.bool), OPTIONS) == lags


def test_lags_of_one_and_three_speakers():
    for count, lags in ((1, (4,)), (3, (2, 2, 2))):
        voices = loudness(count, 80, seed=count)
        heard = torch.log10((10**voices).sum(0))
        told = torch.stack([late(v, lag) for v, lag in zip(voices, lags, strict=True)])
        assert find_lags(told, heard, torch.ones(count, 80, dtype=torch.bool), OPTIONS) == lags


def test_videos_without_information_keep_lag_zero():
    told, heard = loudness(2, 50, seed=5), loudness(1, 50, seed=6)[0]
    seen = torch.ones(2, 50, dtype=torch.bool)
    doubtful = Synchrony(max_lag=8, lag_penalty=10.0)
    assert find_lags(told, heard, seen, doubtful) == (0, 0)
    voices = loudness(2, 60)
    told = torch.stack([late(v, 4) for v in voices])
    blind = torch.zeros(2, 60, dtype=torch.bool)
    assert find_lags(told, torch.log10((10**voices).sum(0)), blind, OPTIONS) == (0, 0)
    blind[1] = True
    heard = torch.log10(10 ** voices[1] + 1e-4)
    assert find_lags(told, heard, blind, OPTIONS) == (0, 4)


def test_evidence_is_the_log_likelihood_of_correlation():
    told, heard = loudness(1, 40), loudness(1, 40, seed=3)[0]
    heard = heard + told[0]
    r = [np.corrcoef(told[0, :, band], heard[:, band])[0, 1] for band in range(4)]
    wanted = -20 * np.log(1 - np.square(r)).sum()
    assert evidence(told, heard, (0,)) == pytest.approx(wanted, rel=1e-4)
    assert evidence(told, heard, (39,)) == 0.0


def test_videos_are_shifted_by_their_lags():
    video = torch.arange(1, 6).repeat(3, 1)
    wanted = [[3, 4, 5, 0, 0], [0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert shifted(video, (2, -1, 0)).tolist() == wanted
    assert not shifted(video, (9, -9, 5)).any()


def test_a_scene_reads_video_frames_at_the_lag():
    mouths = [np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 96, 96), np.uint8)] * 3
    valid, face = [np.ones(10, bool)] * 3, np.zeros((3, 224, 224, 3), np.uint8)
    scene = Scene(np.zeros(6400, np.float32), mouths, valid, face, lags=(2, -3, 0))
    for start, stop in ((0, 10), (2, 6), (7, 10), (0, 1)):
        mouth, seen = scene.video(start, stop)
        for voice, lag in enumerate(scene.lags):
            there = np.arange(start, stop) + lag
            inside = (there >= 0) & (there < 10)
            assert (seen[voice] == inside).all()
            assert (mouth[voice, :, 0, 0] == np.where(inside, there, 0)).all()
