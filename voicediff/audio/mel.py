"""Log-mel spectrograms, and the settings that features, models and vocoders must share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from voicediff.audio.filters import slaney_filters
from voicediff.errors import ConfigError, DataError


@dataclass(frozen=True)
class MelSpec:
    """Settings of a mel spectrogram. Frame i is centred on sample (i + 1/2) hop.

    Attributes:
        sample_rate: Hz.
        n_fft, hop, win: samples; the Hann window of `win` is centred in n_fft.
        n_mels, fmin, fmax: number of bins and their range in Hz (Slaney's scale and norm).
        floor: magnitudes are clamped here before the natural logarithm.
    """

    sample_rate: int = 22050
    n_fft: int = 1024
    hop: int = 256
    win: int = 1024
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.win <= self.n_fft:
            raise ConfigError(
                f"mel: 0 < hop <= win <= n_fft does not hold for "
                f"{self.hop}, {self.win}, {self.n_fft}"
            )
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ConfigError(
                f"mel: fmin {self.fmin:g} and fmax {self.fmax:g} do not fit "
                f"a sample rate of {self.sample_rate}"
            )
        if self.n_mels < 1 or self.floor <= 0:
            raise ConfigError(f"mel: n_mels {self.n_mels} and floor {self.floor:g} must be above 0")

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    def frames(self, samples: int) -> int:
        """Number of frames of a waveform of `samples` samples."""
        return samples // self.hop

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits that depend on all fields."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def to_dict(self) -> dict[str, Any]:
        """All fields with their declared types; inverse of `from_dict`."""
        kinds = {"int": int, "float": float}
        return {f.name: kinds[f.type](getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], at: str = "mel") -> MelSpec:
        """Inverse of `to_dict`; a `hash` is checked if present. Raises DataError."""
        options = {key: value for key, value in data.items() if key != "hash"}
        try:
            spec = cls(**options)
            spec.to_dict()
        except (TypeError, ValueError) as error:
            raise DataError(f"{at}: not a mel description: {error}") from error
        if data.get("hash", spec.hash) != spec.hash:
            raise DataError(f"{at}: hash {data['hash']} does not match the fields ({spec.hash})")
        return spec

    def require(self, other: MelSpec, this: str, that: str) -> None:
        """Raise DataError if the settings of `this` (self) and `that` (other) differ."""
        if self.to_dict() == other.to_dict():
            return
        own, others = asdict(self), asdict(other)
        differing = [name for name in own if own[name] != others[name]]
        pairs = ", ".join(f"{n} {own[n]:g} against {others[n]:g}" for n in differing)
        raise DataError(
            f"mel settings of {this} ({self.hash}) and of {that} ({other.hash}) disagree: {pairs}"
        )


@lru_cache(maxsize=8)
def mel_filters(spec: MelSpec) -> Tensor:
    """Mel filter bank (n_mels, n_fft // 2 + 1): triangles of equal area on Slaney's mel scale."""
    with torch.inference_mode(False):  # the cached tensor may be used in training later
        bank = slaney_filters(spec.sample_rate, spec.n_fft, spec.n_mels, spec.fmin, spec.fmax)
        return torch.from_numpy(bank.astype(np.float32))


def magnitudes(wav: Tensor, spec: MelSpec) -> Tensor:
    """Magnitude spectrum (..., n_fft // 2 + 1, T) of wav (..., N), T = N // hop.

    The waveform is padded by reflection so that frame i is centred on sample (i + 1/2) hop, as in
    HiFi-GAN and Grad-TTS.
    """
    frames, left = spec.frames(wav.shape[-1]), (spec.n_fft - spec.hop) // 2
    right = spec.n_fft - spec.hop - left
    short = right + 1 - wav.shape[-1]  # reflection needs more samples than it pads
    if short > 0:
        wav = F.pad(wav, (0, short))
    flat = wav.reshape(-1, wav.shape[-1])
    padded = F.pad(flat[:, None], (left, right), mode="reflect")[:, 0]
    window = torch.hann_window(spec.win, dtype=wav.dtype, device=wav.device)
    spectrum = torch.stft(
        padded, spec.n_fft, spec.hop, spec.win, window, center=False, return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    magnitude = (power + 1e-9).sqrt()[..., :frames]  # 1e-9 keeps the gradient at silence finite
    return magnitude.reshape(*wav.shape[:-1], *magnitude.shape[-2:])


def log_mel(wav: Tensor, spec: MelSpec) -> Tensor:
    """Natural-log mel-spectrogram (..., n_mels, T) of wav (..., N), clamped at log(floor).

    Magnitudes (not powers) through a Slaney filter bank, as in HiFi-GAN and Grad-TTS.
    """
    filters = mel_filters(spec).to(wav)
    return (filters @ magnitudes(wav, spec)).clamp(min=spec.floor).log()
