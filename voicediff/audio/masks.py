"""Oracle masks on the spectrum: upper bounds for mask-based separation."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.audio.stft import STFT


def ratio_masked(mixture: Tensor, sources: Tensor, stft: STFT = STFT()) -> Tensor:
    """mixture (N,), sources (S, N) -> (S, N) by the ideal ratio mask (Wang et al. 2014, Eq. 4).

    (|S_s|^2 / (sum_k |S_k|^2 + |noise|^2))^1/2, with the phase of the mixture.
    """
    y, parts = _spectra(mixture, sources, stft)
    noise = (y - parts.sum(0)).abs().square()
    power = parts.abs().square()
    mask = (power / (power.sum(0) + noise).clamp(min=1e-12)).sqrt()
    return _waveforms(mask * y, stft, mixture.shape[-1])


def phase_masked(mixture: Tensor, sources: Tensor, stft: STFT = STFT()) -> Tensor:
    """mixture (N,), sources (S, N) -> (S, N) by the phase-sensitive mask (Erdogan et al. 2015).

    |S| / |Y| cos(angle between them), cut to [0, 1].
    """
    y, parts = _spectra(mixture, sources, stft)
    mask = ((parts * y.conj()).real / y.abs().square().clamp(min=1e-12)).clamp(0, 1)
    return _waveforms(mask * y, stft, mixture.shape[-1])


def _spectra(mixture: Tensor, sources: Tensor, stft: STFT) -> tuple[Tensor, Tensor]:
    """Complex (F, T) and (S, F, T)."""
    found = torch.stft(
        torch.cat((mixture[None], sources)),
        stft.n_fft,
        stft.hop,
        window=torch.hann_window(stft.n_fft),
        return_complex=True,
    )
    return found[0], found[1:]


def _waveforms(spectra: Tensor, stft: STFT, samples: int) -> Tensor:
    window = torch.hann_window(stft.n_fft)
    return torch.istft(spectra, stft.n_fft, stft.hop, window=window, length=samples)
