"""The compressed STFT and its inverse."""

import numpy as np
import pytest
import torch

from voicediff.audio import STFT


def snr(reference, estimate):
    return 10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum())


@pytest.mark.parametrize(
    "stft", [STFT(), STFT(512, 128, 0.667, 0.33), STFT(exponent=1.0, factor=1.0)]
)
@pytest.mark.parametrize("samples", [32640, 10001, 300, 200])
def test_round_trip_is_above_60_db_at_equal_length(stft, samples):
    wav = torch.randn(2, samples) * 0.1
    back = stft.inverse(stft(wav), samples)
    assert back.shape == wav.shape
    assert snr(wav, back) > 60


def test_the_default_gives_a_square_of_256():
    stft = STFT()
    assert stft(torch.randn(1, 32640)).shape == (1, 2, 256, 256)
    assert (stft.bins, stft.frames(32640)) == (256, 256)


def test_values_are_those_of_the_definition():
    stft, wav = STFT(), torch.randn(1, 4096, dtype=torch.float64)
    spectrum = stft(wav)
    frame = 10
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(510) / 510)  # periodic Hann
    piece = wav[0, frame * 128 - 255 : frame * 128 + 255].numpy() * window
    expected = np.fft.rfft(piece)
    expected = 0.15 * np.abs(expected) ** 0.5 * np.exp(1j * np.angle(expected))
    got = spectrum[0, 0, :, frame].numpy() + 1j * spectrum[0, 1, :, frame].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_silence_round_trips_with_finite_gradients():
    stft, wav = STFT(), torch.zeros(1, 2048, requires_grad=True)
    back = stft.inverse(stft(wav), 2048)
    assert back.abs().max() == 0
    back.sum().backward()
    assert wav.grad.isfinite().all()
