"""Whole songs: windows, seams, exact length. The model is replaced by one whose answer is known."""

import itertools

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec
from voicediff.inference.singing import SongRenderer, Stretch, _joined, _windows
from voicediff.music.score import Note, Score
from voicediff.music.timing import Timing
from voicediff.registry import build
from voicediff.tasks.svs.inference import Song
from voicediff.vocoders import Vocoder

SPEC = MelSpec()


class HummingTask(torch.nn.Module):
    """Returns its noise as the mel, and stores the numbers of frames it was asked for."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.mel, self.timing = SPEC, Timing()
        self.tokenizer = build("tokenizer", {"name": "phone"})
        self.largest = 0

    def generate(self, score, sampler, noise, noise_scale, guidance, shallow, kept):
        frames = score.mask.shape[1]
        self.largest = max(self.largest, frames)
        mel = noise(torch.zeros(1, SPEC.n_mels, frames))
        return Song(mel, torch.full((1, frames), 220.0), score.mask)


class Counting(Vocoder):
    """One sample of value 1 for each sample it was asked for."""

    needs_f0 = False

    def forward(self, mel, f0=None, noise=None):
        return torch.ones(1, mel.shape[-1] * SPEC.hop)


def song(notes, duration):
    return Score(tuple(Note(s, e, 60, "나") for s, e in notes), duration)


def test_pieces_add_up_to_the_score_and_rests_are_silent():
    score = song([(0.5, 1.5), (3.0, 4.0)], 5.123)
    wav = np.concatenate(list(SongRenderer(HummingTask(), None, Counting()).wav(score)))
    assert len(wav) == round(5.123 * SPEC.sample_rate)
    at = lambda seconds: wav[round(seconds * SPEC.sample_rate)]  # noqa: E731
    assert at(1.0) == 1 and at(3.5) == 1
    assert at(0.05) == 0 and at(2.25) == 0 and at(4.9) == 0


@pytest.mark.parametrize("length", [10, 1000, 1001, 2345, 9999])
def test_windows_cover_with_the_overlap_and_stay_short(length):
    windows = _windows(7, 7 + length, 1000, 80)
    assert windows[0][0] == 7 and windows[-1][1] == 7 + length
    assert all(last - first <= 1000 for first, last in windows)
    assert all(b[0] <= a[1] - min(80, length) for a, b in itertools.pairwise(windows))


def test_windows_of_one_noise_agree():
    task = HummingTask()
    score = song([(i * 0.5, i * 0.5 + 0.5) for i in range(80)], 40.0)
    short = SongRenderer(task, None, Counting(), longest=8.0)
    (pieces,) = short.stretches(score)
    assert task.largest <= 8.0 * SPEC.frame_rate + 8
    (whole,) = SongRenderer(task, None, Counting(), longest=60.0).stretches(score)
    np.testing.assert_allclose(pieces.mel, whole.mel, atol=1e-6)


def test_crossfade_weighs_both_sides():
    left = Stretch(0, np.zeros((1, 10), np.float32), np.zeros(10))
    right = Stretch(6, np.ones((1, 10), np.float32), np.ones(10))
    joined = _joined(left, right)
    assert joined.end == 16
    np.testing.assert_allclose(joined.mel[0, 6:10], [0.0, 0.25, 0.75, 1.0])


def test_progress_reports_every_window():
    seconds = []
    score = song([(i * 0.5, i * 0.5 + 0.5) for i in range(40)], 20.0)
    singer = SongRenderer(HummingTask(), None, Counting(), longest=8.0, progress=seconds.append)
    list(singer.wav(score))
    assert len(seconds) >= 3 and sum(seconds) >= 19.9
