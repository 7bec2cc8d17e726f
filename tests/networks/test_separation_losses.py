"""Losses of separation on simple signals."""

import pytest
import torch

from voicediff.networks.losses import level_error, multi_resolution_stft, si_sdr
from voicediff.tasks.avss.losses import LossWeights, estimate_terms


@pytest.fixture
def voice():
    return torch.randn(2, 800, generator=torch.Generator().manual_seed(0))


def test_level_error_is_the_absolute_gain_in_decibels(voice):
    lengths = torch.tensor([800, 800])
    found = level_error(torch.stack([10 * voice[0], 0.5 * voice[1]]), voice, lengths)
    assert found.tolist() == pytest.approx([20.0, 6.0206], abs=1e-3)


def test_level_error_is_0_at_the_optimal_gain(voice):
    noise = torch.randn(2, 800, generator=torch.Generator().manual_seed(1))
    noise = noise - voice * (noise * voice).sum(-1, keepdim=True) / voice.square().sum(-1)[:, None]
    noisy = voice + noise
    gain = voice.square().sum(-1) / noisy.square().sum(-1)  # of the Wiener filter
    assert level_error(noisy * gain[:, None], voice, torch.tensor([800, 800])).max() < 1e-4


def test_si_sdr_does_not_depend_on_level_and_level_error_does(voice):
    estimate = (voice + 0.1 * voice.roll(1, 0)).requires_grad_()
    lengths = torch.tensor([800, 600])
    quiet = si_sdr(estimate, voice, lengths), si_sdr(30 * estimate, voice, lengths)
    assert torch.allclose(*quiet, atol=1e-3)
    level_error(30 * estimate, voice, lengths).sum().backward()
    assert (estimate.grad * estimate).sum() > 0  # a lower level reduces the error
    assert not estimate.grad[1, 600:].any()


def test_the_loss_of_the_estimate_is_weighted(voice):
    lengths, thought = torch.tensor([800, 600]), voice + 0.3 * voice.roll(1, 0)
    assert estimate_terms(LossWeights(), thought, voice, lengths) == {}
    terms = estimate_terms(LossWeights(estimate=1.0, estimate_stft=3.0), thought, voice, lengths)
    assert torch.equal(terms["estimate"], -si_sdr(thought, voice, lengths, 30.0))
    assert torch.equal(terms["estimate_stft"], multi_resolution_stft(thought, voice, lengths))
