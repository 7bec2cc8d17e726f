"""The compressed complex STFT of the separation models, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-8  # magnitudes below this are compressed linearly, so that gradients stay finite


@dataclass(frozen=True)
class STFT:
    """Centred STFT with a periodic Hann window and compressed magnitude: factor |X|^exponent.

    SGMSE's representation (Richter et al. 2023, Eq. 16); the defaults are AVDiffuSS' (510 / 128,
    exponent 1/2, factor 0.15), where 32640 samples give 256 x 256.
    """

    n_fft: int = 510
    hop: int = 128
    exponent: float = 0.5
    factor: float = 0.15

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """Number of frames of a waveform of `samples` samples."""
        return 1 + samples // self.hop

    def __call__(self, wav: Tensor) -> Tensor:
        """wav (B, N) -> compressed spectrum (B, 2, F, T): real and imaginary part."""
        # reflection as in SGMSE; signals shorter than half a window can only be padded with zeros
        mode = "reflect" if wav.shape[-1] > self.n_fft // 2 else "constant"
        padded = F.pad(wav[:, None], (self.n_fft // 2, self.n_fft // 2), mode=mode)[:, 0]
        spectrum = torch.stft(
            padded,
            self.n_fft,
            self.hop,
            window=self._window(wav),
            center=False,
            return_complex=True,
        )
        return torch.view_as_real(self._compress(spectrum)).movedim(-1, 1)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Compressed spectrum (B, 2, F, T) -> wav (B, length)."""
        complex_ = torch.view_as_complex(spectrum.movedim(1, -1).contiguous())
        window = self._window(spectrum)
        return torch.istft(
            self._expand(complex_), self.n_fft, self.hop, window=window, length=length
        )

    def _compress(self, spectrum: Tensor) -> Tensor:
        magnitude = spectrum.abs().clamp(min=_TINY)
        return spectrum * (self.factor * magnitude ** (self.exponent - 1))

    def _expand(self, compressed: Tensor) -> Tensor:
        magnitude = (compressed.abs() / self.factor).clamp(min=_TINY**self.exponent)
        return compressed / self.factor * magnitude ** (1 / self.exponent - 1)

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.n_fft, dtype=like.dtype, device=like.device)
