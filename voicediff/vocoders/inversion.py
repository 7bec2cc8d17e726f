"""Magnitude spectra from mel-spectrograms."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.audio import MelSpec, mel_filters


class MelInversion:
    """Magnitude spectra that have a given mel-spectrogram.

    An underdetermined non-negative problem, solved by multiplicative updates for the divergence
    (Lee & Seung 2001): solutions stay positive and close to the initial one. Bins outside the mel's
    range are 0.

    Args:
        mel: log-mel (B, n_mels, T).
    """

    def __init__(self, mel: Tensor, spec: MelSpec):
        filters = mel_filters(spec).to(mel)
        areas = filters.sum(1, keepdim=True).clamp(min=1e-8)
        self.filters = (filters / areas).T.contiguous()  # (bins, n_mels)
        self.target = mel.mT.exp() / areas[:, 0]  # (B, T, n_mels)
        cover = self.filters.sum(1, keepdim=True)
        back = torch.where(cover > 0, self.filters / cover.clamp(min=1e-8), 0.0)
        self.back = back.T.contiguous()  # (n_mels, bins)
        self.covered = cover[:, 0] > 0  # (bins,)

    def smooth(self, updates: int = 30) -> Tensor:
        """Magnitudes (B, T, bins) close to the interpolated mel."""
        magnitude = self.envelope()
        for _ in range(updates):
            magnitude = self.update(magnitude)
        return magnitude

    def update(self, magnitude: Tensor) -> Tensor:
        """Magnitudes (B, T, bins) moved towards the mel, keeping their fine structure."""
        return magnitude * self.correction(magnitude)

    def correction(self, magnitude: Tensor) -> Tensor:
        """Gains (B, T, bins) that move `magnitude` towards the mel."""
        current = _product(magnitude, self.filters).clamp(min=1e-10)
        return _product(self.target / current, self.back)

    def envelope(self) -> Tensor:
        """Magnitudes (B, T, bins) by interpolation of the mel over frequency."""
        return _product(self.target, self.back)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32, also under bf16 autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b
