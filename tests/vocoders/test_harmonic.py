"""Harmonic-plus-noise: the given pitch, the given mel."""

import numpy as np
import pytest
import torch
from real_data import LITTLE_STAR, needs_little_star

from voicediff.audio import MelSpec, f0, log_mel, read_wav
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.registry import build

SPEC = MelSpec()


def vocoder(**options):
    return build("vocoder", {"name": "harmonic", **options}, spec=SPEC)


def smooth_mel(frames):
    """A spectral envelope like that of a voice, without harmonics."""
    return torch.linspace(-2, -8, SPEC.n_mels)[None, :, None].repeat(1, 1, frames)


def mel_error(wav, mel):
    """Mean absolute log-mel error in dB away from the ends."""
    return 20 / np.log(10) * (log_mel(wav, SPEC) - mel)[..., 3:-3].abs().mean()


def test_pitch_is_the_given_one():
    hz = 300 * 2 ** (0.5 / 12 * torch.sin(2 * torch.pi * 5 * torch.arange(120) / SPEC.frame_rate))
    wav = vocoder()(smooth_mel(120), hz[None])
    assert wav.shape == (1, 120 * SPEC.hop)
    found = f0(wav[0].numpy(), SPEC.sample_rate, SPEC.hop)[3:-3]
    assert np.abs(1200 * np.log2(found / hz[3:-3].numpy())).max() < 8


def test_frames_without_f0_are_noise():
    hz = torch.full((1, 120), 250.0)
    hz[:, 40:80] = 0
    found = f0(vocoder()(smooth_mel(120), hz)[0].numpy(), SPEC.sample_rate, SPEC.hop) > 0
    assert found[3:37].all() and found[83:117].all() and not found[43:77].any()


def test_the_sound_has_the_mel_of_a_voice():
    time = torch.arange(SPEC.sample_rate) / SPEC.sample_rate
    breath = 0.002 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    voice = sum(0.2 / n**1.5 * torch.cos(2 * torch.pi * 220 * n * time) for n in range(1, 36))
    mel = log_mel((voice + breath)[None], SPEC)
    made = vocoder(iterations=10)(mel, torch.full((1, mel.shape[-1]), 220.0))
    assert mel_error(made, mel) < 2


def test_blurred_mels_do_not_become_noise():
    wav = vocoder()(smooth_mel(60), torch.full((1, 60), 300.0))[0, 4096:12288]
    power = torch.fft.rfft(wav * torch.hann_window(8192)).abs().square()
    hertz = torch.linspace(0, SPEC.sample_rate / 2, len(power))
    off = ((hertz / 300 + 0.5) % 1 - 0.5).abs() * 300  # distance to the next harmonic
    low = hertz < 2000
    assert 10 * torch.log10(power[low & (off < 10)].sum() / power[low & (off > 60)].sum()) > 12


def test_chunks_join_without_a_seam():
    hz = torch.linspace(200, 300, 200)[None]
    whole = vocoder(chunk=500)(smooth_mel(200), hz, SeededNoise([1]))
    pieces = vocoder(chunk=50)(smooth_mel(200), hz, SeededNoise([1]))
    error = (whole - pieces).square().sum() / whole.square().sum()
    assert 10 * torch.log10(error) < -50


def test_only_the_noise_is_random_and_items_are_independent():
    mel, hz = smooth_mel(40).repeat(2, 1, 1), torch.tensor([[200.0], [310.0]]).repeat(1, 40)
    made = vocoder()(mel, hz, SeededNoise([1, 2]))
    torch.testing.assert_close(made, vocoder()(mel, hz, SeededNoise([1, 2])), rtol=0, atol=0)
    alone = vocoder()(mel[1:], hz[1:], SeededNoise([2]))
    torch.testing.assert_close(made[1:], alone, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(made[1:], vocoder()(mel[1:], hz[1:], SeededNoise([3])), atol=1e-4)


def test_missing_f0_raises():
    with pytest.raises(DataError, match="needs F0"):
        vocoder()(smooth_mel(10))


@needs_little_star
def test_a_real_song_is_reconstructed():
    wav, rate = read_wav(LITTLE_STAR / "wav/little_star.wav", SPEC.sample_rate, 4.0, 9.0)
    pitch = f0(wav, rate, SPEC.hop)
    mel = log_mel(torch.from_numpy(wav)[None], SPEC)
    made = vocoder()(mel, torch.from_numpy(pitch)[None])
    assert mel_error(made, mel) < 2
    found = f0(made[0].numpy(), rate, SPEC.hop)
    both = (found > 0) & (pitch > 0)
    assert np.median(np.abs(1200 * np.log2(found[both] / pitch[both]))) < 5
