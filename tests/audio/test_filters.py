"""Mel filter banks against librosa and torchaudio."""

import librosa
import numpy as np
import pytest

from voicediff.audio.filters import htk_filters, slaney_filters

# rate, n_fft, n_mels, fmin, fmax
BANKS = [
    (22050, 1024, 80, 0.0, 8000.0),
    (44100, 2048, 128, 40.0, 16000.0),
    (24000, 1024, 100, 0.0, 12000.0),
    (16000, 512, 40, 125.0, 7600.0),
    (48000, 4096, 229, 30.0, 24000.0),
]


@pytest.mark.parametrize("bank", BANKS)
def test_slaney_filters_are_those_of_librosa(bank):
    rate, n_fft, n_mels, fmin, fmax = bank
    reference = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, dtype=np.float64
    )
    np.testing.assert_allclose(slaney_filters(*bank), reference, atol=1e-12)


@pytest.mark.parametrize("bank", BANKS)
def test_htk_filters_are_those_of_librosa(bank):
    rate, n_fft, n_mels, fmin, fmax = bank
    reference = librosa.filters.mel(
        sr=rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=True,
        norm=None,
        dtype=np.float64,
    )
    np.testing.assert_allclose(htk_filters(*bank), reference, atol=1e-9)


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_filters_are_those_of_torchaudio(bank, scale):
    functional = pytest.importorskip("torchaudio.functional", exc_type=(ImportError, OSError))
    rate, n_fft, n_mels, fmin, fmax = bank
    norm = "slaney" if scale == "slaney" else None
    reference = functional.melscale_fbanks(
        n_fft // 2 + 1, fmin, fmax, n_mels, rate, norm=norm, mel_scale=scale
    )
    ours = (slaney_filters if scale == "slaney" else htk_filters)(*bank)
    # torchaudio computes in float32: its error grows with the ratio of frequency to bandwidth
    np.testing.assert_allclose(ours.T, reference, atol=1e-6 if scale == "slaney" else 2e-4)


def test_slaney_filters_have_area_one():
    bank = slaney_filters(22050, 1 << 16, 40, 0.0, 8000.0)
    np.testing.assert_allclose(bank.sum(1) * 22050 / (1 << 16), 1.0, atol=1e-4)
