"""Vocoders of other packages: interface, missing packages, frame positions."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from voicediff.audio import MelSpec, log_mel
from voicediff.config import dump_yaml
from voicediff.errors import ConfigError, DataError
from voicediff.inference.vocoding import find_vocoder, keep
from voicediff.registry import build
from voicediff.vocoders.inversion import MelInversion

SPEC = MelSpec()
VOCOS = MelSpec(sample_rate=24000, n_mels=100, fmax=12000.0)
HIFI = {"num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050}


class FakeBigVGAN(torch.nn.Module):
    """BigVGAN's interface: (B, n_mels, T) -> (B, 1, T * hop)."""

    def __init__(self, options, use_cuda_kernel):
        super().__init__()
        assert options.num_mels == 80 and not use_cuda_kernel
        self.up = torch.nn.ConvTranspose1d(80, 1, 256, 256)

    def forward(self, mel):
        return self.up(mel)

    def remove_weight_norm(self):
        pass


class Attributes(dict):
    __getattr__ = dict.__getitem__


@pytest.fixture
def bigvgan(tmp_path, monkeypatch):
    package = SimpleNamespace(BigVGAN=FakeBigVGAN, env=SimpleNamespace(AttrDict=Attributes))
    monkeypatch.setitem(sys.modules, "bigvgan", package)
    folder = tmp_path / "bigvgan_base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**HIFI, "fmin": 0, "fmax": 8000}))
    torch.manual_seed(0)
    weights = FakeBigVGAN(Attributes(HIFI), False).state_dict()
    torch.save({"generator": weights}, folder / "bigvgan_generator.pt")
    return folder


def vocos_folder(folder, padding="center"):
    folder.mkdir()
    features = {"class_path": "vocos.feature_extractors.MelSpectrogramFeatures"}
    features["init_args"] = {"sample_rate": 24000, "n_fft": 1024, "hop_length": 256}
    features["init_args"] |= {"n_mels": 100, "padding": padding}
    size = {"input_channels": 100, "dim": 16, "intermediate_dim": 32, "num_layers": 1}
    head = {"dim": 16, "n_fft": 1024, "hop_length": 256, "padding": padding}
    about = {
        "feature_extractor": features,
        "backbone": {"class_path": "vocos.models.VocosBackbone", "init_args": size},
        "head": {"class_path": "vocos.heads.ISTFTHead", "init_args": head},
    }
    (folder / "config.yaml").write_text(dump_yaml(about))
    return folder


def test_bigvgan_reads_its_folder_in_chunks(bigvgan):
    found = find_vocoder(str(bigvgan), SPEC)
    assert found.title == "bigvgan_base" and found.vocoder.spec == SPEC
    mel = torch.randn(2, 80, 70)
    with torch.inference_mode():
        whole = found.vocoder.network(mel)[:, 0]
        found.vocoder.chunk, found.vocoder.context = 16, 3
        torch.testing.assert_close(found.vocoder(mel), whole, atol=1e-6, rtol=1e-5)


def test_a_model_can_contain_it(bigvgan, tmp_path):
    (tmp_path / "model").mkdir()
    keep(tmp_path / "model", "neural", {}, bigvgan)
    assert find_vocoder(None, SPEC, tmp_path / "model").vocoder.spec == SPEC


def test_other_mels_raise(bigvgan):
    with pytest.raises(DataError, match="fmax 8000 against 11000"):
        find_vocoder(str(bigvgan), MelSpec(fmax=11000.0))


def test_weights_of_another_size_raise(bigvgan):
    torch.save({"generator": {"up.bias": torch.zeros(1)}}, bigvgan / "bigvgan_generator.pt")
    with pytest.raises(DataError, match="weights do not fit its configuration"):
        find_vocoder(str(bigvgan), SPEC)


@pytest.mark.parametrize("package", ["bigvgan", "vocos"])
def test_a_missing_package_raises_one_line(package, bigvgan, tmp_path, monkeypatch):
    folder = bigvgan if package == "bigvgan" else vocos_folder(tmp_path / "vocos")
    (folder / "pytorch_model.bin").touch()
    monkeypatch.setitem(sys.modules, package, None)
    spec = SPEC if package == "bigvgan" else VOCOS
    with pytest.raises(
        ConfigError, match=rf"{package} is not installed; .* 'voicediff\[{package}\]'"
    ):
        find_vocoder(str(folder), spec)


class Echo(torch.nn.Module):
    """Vocos' interface, padding `center`: stores its mels and returns an impulse at each frame."""

    def decode(self, features):
        self.heard = features
        wav = torch.zeros(len(features), (features.shape[-1] - 1) * 256)
        wav[:, ::256] = 1.0
        return wav


def test_vocos_receives_its_own_mels_and_frames_are_aligned(tmp_path, monkeypatch):
    echo = Echo()
    package = SimpleNamespace(Vocos=SimpleNamespace(from_hparams=lambda path: echo))
    monkeypatch.setitem(sys.modules, "vocos", package)
    folder = vocos_folder(tmp_path / "vocos")
    torch.save({}, folder / "pytorch_model.bin")
    vocoder = build("vocoder", {"name": "vocos_package", "folder": str(folder)}, spec=VOCOS)
    wav = 0.1 * torch.randn(1, 40 * 256, generator=torch.Generator().manual_seed(0))
    made = vocoder(log_mel(wav, VOCOS))
    assert made.shape == wav.shape
    assert torch.nonzero(made[0])[0] == 128  # the centre of the first frame
    magnitudes = MelInversion(log_mel(wav, VOCOS), VOCOS).smooth()
    torch.testing.assert_close(echo.heard, (magnitudes @ vocoder.bank).log().mT)


def test_vocos_of_another_rate_raises(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vocos", SimpleNamespace())
    folder = vocos_folder(tmp_path / "vocos")
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(DataError, match="have sample_rate 24000, not 22050"):
        find_vocoder(str(folder), SPEC)


@pytest.mark.parametrize("padding", ["center", "same"])
def test_the_package_vocos_itself(tmp_path, padding):
    package = pytest.importorskip("vocos")
    folder = vocos_folder(tmp_path / "vocos", padding)
    network = package.Vocos.from_hparams(str(folder / "config.yaml"))
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    vocoder = find_vocoder(str(folder), None).vocoder
    assert vocoder.spec == VOCOS
    assert vocoder(torch.full((2, 100, 30), -5.0)).shape == (2, 30 * 256)


def test_the_package_bigvgan_itself(tmp_path):
    package = pytest.importorskip("bigvgan")
    options = {**HIFI, "fmin": 0, "fmax": None, "resblock": "1", "upsample_rates": [16, 16]}
    options |= {"upsample_kernel_sizes": [32, 32], "upsample_initial_channel": 16}
    options |= {"resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]]}
    options |= {"activation": "snakebeta", "snake_logscale": True}
    (tmp_path / "config.json").write_text(json.dumps(options))
    network = package.BigVGAN(package.env.AttrDict(options))
    torch.save({"generator": network.state_dict()}, tmp_path / "bigvgan_generator.pt")
    vocoder = find_vocoder(str(tmp_path), MelSpec(fmax=11025.0)).vocoder
    with torch.inference_mode():
        assert vocoder(torch.full((1, 80, 20), -5.0)).shape == (1, 20 * 256)
