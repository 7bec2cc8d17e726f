"""Griffin-Lim: the waveform has the given mel and its pitch."""

import numpy as np
import pytest
import torch
from real_data import LITTLE_STAR, needs_little_star

from voicediff.audio import MelSpec, f0, log_mel, mel_filters, read_wav
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.registry import build
from voicediff.vocoders.frames import Framing
from voicediff.vocoders.inversion import MelInversion

SPEC = MelSpec()


def song(seconds=1.0, hz=220.0):
    time = torch.arange(round(seconds * SPEC.sample_rate)) / SPEC.sample_rate
    phase = 2 * torch.pi * hz * time + 0.3 * torch.sin(2 * torch.pi * 5 * time)
    breath = 0.005 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return (sum(0.1 / n * torch.sin(n * phase) for n in range(1, 20)) + breath)[None]


def mel_error(wav, mel):
    """Mean absolute log-mel error in dB away from the ends."""
    return 20 / np.log(10) * (log_mel(wav, SPEC) - mel)[..., 3:-3].abs().mean()


@pytest.mark.parametrize("spec", [SPEC, MelSpec(win=800), MelSpec(16000, 512, 160, 400, 64)])
def test_inverse_stft_of_the_stft_is_the_waveform(spec):
    wav = torch.randn(2, 40 * spec.hop, dtype=torch.float64)
    framing = Framing(spec, wav)
    spectra = framing.spectra(wav)
    assert spectra.shape == (2, 40, spec.n_fft // 2 + 1)
    inside = slice(spec.hop, -spec.hop)
    torch.testing.assert_close(framing.sound(spectra)[:, inside], wav[:, inside])


def test_frames_are_those_of_the_mel():
    wav = song()
    mel = (mel_filters(SPEC) @ Framing(SPEC, wav).spectra(wav).abs().mT).log()
    expected = log_mel(wav, SPEC)
    torch.testing.assert_close(mel[..., 3:-3], expected[..., 3:-3], atol=1e-3, rtol=0)


def test_inverted_mel_is_positive_and_has_that_mel():
    mel = log_mel(song(0.3), SPEC)
    magnitude = MelInversion(mel, SPEC).smooth(80)
    assert (magnitude >= 0).all()
    torch.testing.assert_close((mel_filters(SPEC) @ magnitude.mT).log(), mel, atol=1e-3, rtol=0)


def test_mel_and_pitch_are_reconstructed():
    wav = song()
    mel = log_mel(wav, SPEC)
    made = build("vocoder", {"name": "griffin_lim"}, spec=SPEC)(mel)
    assert made.shape == (1, SPEC.frames(wav.shape[1]) * SPEC.hop)
    assert mel_error(made, mel) < 0.7
    pitch, made_pitch = (f0(x[0].numpy(), SPEC.sample_rate, SPEC.hop)[3:-3] for x in (wav, made))
    assert np.median(np.abs(1200 * np.log2(made_pitch / pitch))) < 3


def test_only_the_noise_is_random_and_items_are_independent():
    mel = torch.cat([log_mel(song(0.5, hz), SPEC) for hz in (200.0, 300.0)])
    vocoder = build("vocoder", {"name": "griffin_lim", "iterations": 3}, spec=SPEC)
    both = vocoder(mel, None, SeededNoise([1, 2]))
    torch.testing.assert_close(both, vocoder(mel, None, SeededNoise([1, 2])), rtol=0, atol=0)
    torch.testing.assert_close(both[1:], vocoder(mel[1:], None, SeededNoise([2])))
    assert not torch.allclose(both[1:], vocoder(mel[1:], None, SeededNoise([3])), atol=1e-3)


def test_chunks_join_without_a_seam():
    wav = song(2.0)
    mel = log_mel(wav, SPEC)
    options = {"name": "griffin_lim", "iterations": 30}
    chunked = build("vocoder", options | {"chunk": 64}, spec=SPEC)(mel)
    whole = build("vocoder", options | {"chunk": 1000}, spec=SPEC)(mel)
    assert mel_error(chunked, mel) < mel_error(whole, mel) + 0.2
    error = (log_mel(chunked, SPEC) - mel).abs().mean((0, 1))
    borders = [64 + 56 * i for i in range(2)]
    at_borders = torch.stack([error[b - 2 : b + 2].mean() for b in borders]).mean()
    assert at_borders < 1.5 * error[3:-3].mean()


def test_another_mel_raises_with_both_hashes():
    vocoder, other = build("vocoder", {"name": "griffin_lim"}, spec=SPEC), MelSpec(fmax=7600.0)
    vocoder.require(SPEC, "the model")
    with pytest.raises(DataError, match=f"{SPEC.hash}.*{other.hash}.*fmax 8000 against 7600"):
        vocoder.require(other, "the model")


@needs_little_star
def test_a_real_song_is_reconstructed():
    wav, _ = read_wav(LITTLE_STAR / "wav/little_star.wav", SPEC.sample_rate, 4.0, 9.0)
    mel = log_mel(torch.from_numpy(wav)[None], SPEC)
    made = build("vocoder", {"name": "griffin_lim"}, spec=SPEC)(mel)
    assert mel_error(made, mel) < 0.5
