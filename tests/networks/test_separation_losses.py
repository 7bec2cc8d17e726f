"""Losses of separation against what they say of simple sounds."""

import pytest
import torch

from voicediff.networks.losses import level_error, multi_resolution_stft, si_sdr
from voicediff.tasks.avss.losses import LossWeights, heard_terms


@pytest.fixture
def voice():
    return torch.randn(2, 800, generator=torch.Generator().manual_seed(0))


def test_level_error_is_the_gain_in_decibels_either_way(voice):
    lengths = torch.tensor([800, 800])
    found = level_error(torch.stack([10 * voice[0], 0.5 * voice[1]]), voice, lengths)
    assert found.tolist() == pytest.approx([20.0, 6.0206], abs=1e-3)


def test_level_error_is_0_for_what_is_as_loud_as_it_helps(voice):
    noise = torch.randn(2, 800, generator=torch.Generator().manual_seed(1))
    noise = noise - voice * (noise * voice).sum(-1, keepdim=True) / voice.square().sum(-1)[:, None]
    noisy = voice + noise
    gain = voice.square().sum(-1) / noisy.square().sum(-1)  # of the Wiener filter
    assert level_error(noisy * gain[:, None], voice, torch.tensor([800, 800])).max() < 1e-4


def test_si_sdr_is_deaf_to_level_and_level_error_is_not(voice):
    estimate = (voice + 0.1 * voice.roll(1, 0)).requires_grad_()
    lengths = torch.tensor([800, 600])
    quiet = si_sdr(estimate, voice, lengths), si_sdr(30 * estimate, voice, lengths)
    assert torch.allclose(*quiet, atol=1e-3)
    level_error(30 * estimate, voice, lengths).sum().backward()
    assert (estimate.grad * estimate).sum() > 0  # softer would be better
    assert not estimate.grad[1, 600:].any()


def test_what_the_generator_thinks_is_heard_as_far_as_it_is_weighed(voice):
    lengths, thought = torch.tensor([800, 600]), voice + 0.3 * voice.roll(1, 0)
    assert heard_terms(LossWeights(), thought, voice, lengths) == {}
    terms = heard_terms(LossWeights(estimate=1.0, estimate_stft=3.0), thought, voice, lengths)
    assert torch.equal(terms["estimate"], -si_sdr(thought, voice, lengths, 30.0))
    assert torch.equal(terms["estimate_stft"], multi_resolution_stft(thought, voice, lengths))
