"""Log-mel spectrograms and their description."""

import librosa
import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, log_mel, mel_filters
from voicediff.errors import ConfigError, DataError

SPECS = [MelSpec(), MelSpec(44100, 2048, 512, 2048, 128, 40.0, 16000.0), MelSpec(win=800)]


def librosa_mel(wav, spec):
    """The log-mel by librosa, with the framing of HiFi-GAN."""
    pad = (spec.n_fft - spec.hop) // 2
    padded = np.pad(wav, (pad, spec.n_fft - spec.hop - pad), mode="reflect")
    magnitude = np.abs(
        librosa.stft(
            padded, n_fft=spec.n_fft, hop_length=spec.hop, win_length=spec.win, center=False
        )
    )
    bank = librosa.filters.mel(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax
    )
    return np.log(np.maximum(bank @ magnitude, spec.floor))


@pytest.mark.parametrize("spec", SPECS)
def test_mel_agrees_with_librosa(spec):
    wav = np.random.default_rng(0).standard_normal(10000) * np.linspace(0, 0.5, 10000)
    ours = log_mel(torch.from_numpy(wav), spec)
    reference = librosa_mel(wav, spec)
    assert ours.shape == (spec.n_mels, spec.frames(len(wav))) == reference.shape
    np.testing.assert_allclose(ours, reference, atol=2e-4)


def test_filters_agree_with_librosa():
    reference = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    np.testing.assert_allclose(mel_filters(MelSpec()), reference, atol=1e-7)


def test_frame_i_is_centred_on_its_hop():
    spec = MelSpec()
    for frame in (0, 3, 20):
        wav = torch.zeros(30 * spec.hop, dtype=torch.float64)
        wav[int((frame + 0.5) * spec.hop)] = 1.0
        assert int(log_mel(wav, spec).sum(0).argmax()) == frame


def test_batches_lengths_and_short_sounds():
    spec = MelSpec()
    wav = torch.randn(2, 3, 5000)
    mel = log_mel(wav, spec)
    assert mel.shape == (2, 3, 80, 19)
    torch.testing.assert_close(mel[1, 2], log_mel(wav[1, 2], spec))
    assert log_mel(torch.randn(300), spec).shape == (80, 1)
    assert log_mel(torch.randn(200), spec).shape == (80, 0)


def test_silence_is_the_floor_and_has_a_gradient():
    spec = MelSpec()
    wav = torch.zeros(4096, requires_grad=True)
    mel = log_mel(wav, spec)
    torch.testing.assert_close(mel, torch.full_like(mel, np.log(spec.floor)))
    mel.sum().backward()
    assert wav.grad.isfinite().all()


def test_hash_depends_on_every_field_and_not_on_its_type():
    spec = MelSpec()
    changes = dict(
        sample_rate=24000,
        n_fft=2048,
        hop=200,
        win=1000,
        n_mels=64,
        fmin=20.0,
        fmax=7000.0,
        floor=1e-4,
    )
    hashes = {MelSpec(**{name: value}).hash for name, value in changes.items()}
    assert len(hashes | {spec.hash}) == 1 + len(changes)
    assert MelSpec(fmax=8000).hash == spec.hash  # an int from a file is the same number
    assert MelSpec.from_dict({**spec.to_dict(), "hash": spec.hash}) == spec


def test_a_disagreement_error_names_both_hashes_and_the_fields():
    a, b = MelSpec(), MelSpec(fmax=7600.0, hop=200)
    a.require(MelSpec(), "this", "that")
    with pytest.raises(DataError) as error:
        a.require(b, "dump", "the vocoder")
    text = str(error.value)
    assert a.hash in text and b.hash in text
    assert "hop 256 against 200" in text and "fmax 8000 against 7600" in text


def test_invalid_descriptions_are_rejected():
    with pytest.raises(ConfigError, match="fmax 12000"):
        MelSpec(fmax=12000.0)
    with pytest.raises(ConfigError, match="hop <= win"):
        MelSpec(hop=2048)
    with pytest.raises(DataError, match="not a mel description"):
        MelSpec.from_dict({"rate": 1})
    with pytest.raises(DataError, match="hash 00000000"):
        MelSpec.from_dict({"hash": "00000000"})
