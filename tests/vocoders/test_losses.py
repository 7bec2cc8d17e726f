"""Losses of vocoders in closed form; shapes of discriminators."""

import pytest
import torch

from voicediff.audio import MelSpec
from voicediff.registry import build
from voicediff.vocoders.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    mel_loss,
    spectral_loss,
    spectrum,
)

SPEC = MelSpec()


def noise(batch=2, samples=8192, seed=0):
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def test_equal_sounds_have_no_loss():
    x = noise()
    assert spectral_loss(x, x).abs().max() == 0 and mel_loss(x, x, SPEC).abs().max() == 0


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_loss_of_a_gain_in_closed_form(gain):
    x = noise()
    g = torch.tensor(gain)
    expected = (g - 1).abs() + g.log().abs()
    torch.testing.assert_close(spectral_loss(gain * x, x), expected.expand(2), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        mel_loss(gain * x, x, SPEC), g.log().abs().expand(2), atol=1e-3, rtol=1e-3
    )


def test_the_sign_of_the_waveform_has_no_effect():
    x = noise()
    assert spectral_loss(-x, x).abs().max() < 1e-5


def test_spectrum_of_a_sine_is_half_the_window_at_its_bin():
    time = torch.arange(8192)
    magnitudes = spectrum(torch.cos(2 * torch.pi * 16 / 512 * time)[None], 512)
    assert magnitudes[0, :, 20].argmax() == 16
    torch.testing.assert_close(magnitudes[0, 16, 20], torch.tensor(512 / 4.0), rtol=1e-3, atol=0)


def output(score, feature):
    return [(torch.full((2, 5), score), [torch.full((2, 3, 4), feature)])] * 2


def test_hinge_losses_and_feature_matching_of_constants():
    correct = discriminator_loss(output(1.5, 0.0), output(-1.5, 0.0))
    torch.testing.assert_close(correct, torch.zeros(2))
    wrong = discriminator_loss(output(-0.5, 0.0), output(0.5, 0.0))
    torch.testing.assert_close(wrong, torch.full((2,), 2 * (1.5 + 1.5)))
    torch.testing.assert_close(adversarial_loss(output(-0.5, 0.0)), torch.full((2,), 2 * 1.5))
    torch.testing.assert_close(
        feature_loss(output(0.0, 1.0), output(0.0, 0.25)), torch.full((2,), 2 * 0.75)
    )


@pytest.mark.parametrize(
    ("name", "options", "sides", "layers"),
    [
        ("multi_period", {"periods": (2, 5), "channels": 4, "max_channels": 8}, 2, 5),
        ("multi_resolution", {"sizes": (256, 512, 1024), "channels": 4}, 3, 5),
    ],
)
def test_discriminators_have_all_outputs_and_items_are_independent(name, options, sides, layers):
    torch.manual_seed(0)
    critic = build("discriminator", {"name": name, **options})
    x = noise(3, 4096)
    found = critic(x)
    assert len(found) == sides
    for (scores, features), (alone, _) in zip(found, critic(x[1:2]), strict=True):
        assert scores.shape[0] == 3 and scores.dim() == 2 and len(features) == layers
        torch.testing.assert_close(scores[1:2], alone, atol=1e-5, rtol=1e-4)


def test_multi_period_folds_by_its_period():
    torch.manual_seed(0)
    critic = build("discriminator", {"name": "multi_period", "periods": (4,), "channels": 4})
    x = noise(1, 4096)
    # only samples a multiple of the period apart interact
    x.requires_grad_()
    scores, _ = critic(x)[0]
    scores[0].unflatten(0, (-1, 4))[:, 1].sum().backward()
    touched = torch.nonzero(x.grad[0])[:, 0] % 4
    assert set(touched.tolist()) == {1}
