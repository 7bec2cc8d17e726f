"""Models of the packages `bigvgan` and `vocos` (extras of the same names), from local folders.

The installed packages are used as they are; nothing is downloaded. A folder has configuration and
weights:

BigVGAN   config.json, bigvgan_generator.pt        mels as here (Slaney's scale and norm)
Vocos     config.yaml, pytorch_model.bin           its own mel scale, reached through magnitudes
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.audio.filters import htk_filters
from voicediff.config import read_yaml
from voicediff.diffusion.noise import Noise
from voicediff.errors import DataError
from voicediff.optional import require
from voicediff.registry import register
from voicediff.vocoders.base import Vocoder
from voicediff.vocoders.inversion import MelInversion

BIGVGAN = ("config.json", "bigvgan_generator.pt")
VOCOS = ("config.yaml", "pytorch_model.bin")


def published(folder: Path) -> tuple[str, MelSpec] | None:
    """Name and mel description of the vocoder in a folder; None if it is neither of the two."""
    if all((folder / name).is_file() for name in BIGVGAN):
        return "bigvgan", _bigvgan_spec(folder)
    if all((folder / name).is_file() for name in VOCOS):
        return "vocos_package", _vocos_spec(folder)
    return None


@register("vocoder", "bigvgan")
class BigVGAN(Vocoder):
    """A published BigVGAN model (Lee et al. 2023), with the package `bigvgan`: universal, no F0; for GPUs.

    Args:
        spec: mel description; must be that of the folder's config.json.
        folder: with config.json and bigvgan_generator.pt.
        chunk: frames synthesised at once, with `context` frames on each side.
    """

    def __init__(self, folder: str, spec: MelSpec = MelSpec(), chunk: int = 512, context: int = 48):
        super().__init__()
        package = require("bigvgan", purpose="vocoder bigvgan")
        _bigvgan_spec(Path(folder)).require(spec, folder, "the model")
        self.spec, self.chunk, self.context = spec, chunk, context
        options = package.env.AttrDict(_json(Path(folder) / BIGVGAN[0]))
        self.network = package.BigVGAN(options, use_cuda_kernel=False)
        weights = _weights(Path(folder) / BIGVGAN[1])
        weights = weights.get("generator", weights)
        if not any("weight_g" in name or "original0" in name for name in weights):
            self.network.remove_weight_norm()
        _fit(self.network, weights, folder)

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T) -> wav (B, T * hop); neither `f0` nor `noise` is used."""
        return self._in_chunks(mel, lambda part: self.network(part)[:, 0])


@register("vocoder", "vocos_package")
class PublishedVocos(Vocoder):
    """A published Vocos model (Siuzdak 2023), with the package `vocos`: fast, no F0, 24 kHz.

    Its mels have another scale and norm, so the input is converted to magnitudes and from these to
    its mel. Its frames are half a hop earlier, which is compensated.

    Args:
        spec: mel description; rate, n_fft and hop must be those of the folder's config.yaml.
        folder: with config.yaml and pytorch_model.bin.
        chunk: frames synthesised at once, with `context` frames on each side.
    """

    def __init__(self, folder: str, spec: MelSpec = MelSpec(), chunk: int = 512, context: int = 48):
        super().__init__()
        package = require("vocos", purpose="vocoder vocos_package")
        published_spec = _vocos_spec(Path(folder))
        for name in ("sample_rate", "n_fft", "hop"):
            given, expected = getattr(spec, name), getattr(published_spec, name)
            if given != expected:
                raise DataError(f"{folder}: mels of this Vocos have {name} {expected}, not {given}")
        self.spec, self.chunk, self.context = spec, chunk, context
        self.network = package.Vocos.from_hparams(str(Path(folder) / VOCOS[0]))
        _fit(self.network, _weights(Path(folder) / VOCOS[1]), folder)
        bank = htk_filters(
            spec.sample_rate, spec.n_fft, published_spec.n_mels, 0.0, spec.sample_rate / 2
        )
        self.register_buffer("bank", torch.from_numpy(bank.T).float(), persistent=False)

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T) -> wav (B, T * hop); neither `f0` nor `noise` is used."""
        return self._in_chunks(mel, self._make)

    def _make(self, mel: Tensor) -> Tensor:
        magnitudes = MelInversion(mel, self.spec).smooth()
        wav = self.network.decode((magnitudes @ self.bank).clamp(min=1e-7).log().mT)
        missing = mel.shape[-1] * self.spec.hop - wav.shape[-1]
        return torch.nn.functional.pad(wav, (missing // 2, missing - missing // 2))


def _bigvgan_spec(folder: Path) -> MelSpec:
    found = _json(folder / BIGVGAN[0])
    try:
        return MelSpec(
            sample_rate=found["sampling_rate"],
            n_fft=found["n_fft"],
            hop=found["hop_size"],
            win=found["win_size"],
            n_mels=found["num_mels"],
            fmin=float(found["fmin"]),
            fmax=float(found["fmax"] or found["sampling_rate"] / 2),
        )
    except KeyError as error:
        raise DataError(f"{folder / BIGVGAN[0]}: {error.args[0]} is missing") from error


def _vocos_spec(folder: Path) -> MelSpec:
    about = read_yaml(folder / VOCOS[0]).get("feature_extractor", {})
    if not str(about.get("class_path", "")).endswith("MelSpectrogramFeatures"):
        raise DataError(f"{folder / VOCOS[0]}: this Vocos reads no mels, but {about}")
    options = {"sample_rate": 24000, "n_fft": 1024, "hop_length": 256, "n_mels": 100}
    options |= about.get("init_args") or {}
    return MelSpec(
        sample_rate=options["sample_rate"],
        n_fft=options["n_fft"],
        hop=options["hop_length"],
        win=options["n_fft"],
        n_mels=options["n_mels"],
        fmax=options["sample_rate"] / 2,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error})") from error


def _weights(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error


def _fit(network: torch.nn.Module, weights: dict[str, Tensor], folder: str) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise DataError(f"{folder}: weights do not fit its configuration: {first}") from error
