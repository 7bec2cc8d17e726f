"""STFT and inverse STFT with the framing of the mel-spectrogram."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from voicediff.audio import MelSpec


class Framing:
    """Spectra of frames centred on (i + 1/2) hop, as in `log_mel`, and their overlap-add.

    The waveform is zero-padded (`log_mel` pads by reflection).
    """

    def __init__(self, spec: MelSpec, like: Tensor):
        self.spec = spec
        self.left = (spec.n_fft - spec.hop) // 2
        side = (spec.n_fft - spec.win) // 2
        window = torch.hann_window(spec.win, device=like.device, dtype=like.dtype)
        self.window = F.pad(window, (side, spec.n_fft - spec.win - side))

    def spectra(self, wav: Tensor) -> Tensor:
        """wav (B, N) -> complex spectra (B, T, n_fft // 2 + 1), T = N // hop."""
        right = self.spec.n_fft - self.spec.hop - self.left
        padded = F.pad(wav, (self.left, right))
        return torch.fft.rfft(padded.unfold(1, self.spec.n_fft, self.spec.hop) * self.window)

    def sound(self, spectra: Tensor) -> Tensor:
        """Spectra (B, T, bins) -> least-squares waveform (B, T * hop) (Griffin & Lim 1984, Eq. 6)."""
        frames = torch.fft.irfft(spectra, self.spec.n_fft) * self.window
        weights = self.window.square().expand(1, spectra.shape[1], -1)
        return self._overlap_add(frames) / self._overlap_add(weights).clamp(min=1e-3)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        count, hop = frames.shape[1], self.spec.hop
        rows = -(-self.spec.n_fft // hop)
        blocks = F.pad(frames, (0, rows * hop - self.spec.n_fft)).unflatten(-1, (rows, hop))
        total = frames.new_zeros(frames.shape[0], count + rows - 1, hop)
        for row in range(rows):  # part `row` of frame i overlaps block i + row
            total[:, row : row + count] += blocks[:, :, row]
        return total.flatten(1)[:, self.left : self.left + count * hop]
