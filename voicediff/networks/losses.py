"""Losses of separation, per item, on waveforms and compressed spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.networks.layers import length_mask

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # (window, hop) in samples
_TINY = 1e-8


def si_sdr(
    estimate: Tensor, target: Tensor, lengths: Tensor, ceiling: float | None = None
) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, Eq. 3): (B,).

    estimate, target (B, N); lengths (B,) valid samples. `ceiling`: soft maximum in dB (Wisdom et al.
    2020, Eq. 2), which limits the gradient of items that are already well separated.

    >>> target, lengths = torch.tensor([[1.0, -1.0, 1.0, -1.0]]), torch.tensor([4])
    >>> noise = torch.tensor([[0.1, 0.1, -0.1, -0.1]])
    >>> round(si_sdr(3 * (target + noise), target, lengths).item(), 1)
    20.0
    """
    keep = length_mask(lengths, target.shape[-1])
    estimate, target = estimate * keep, target * keep
    energy = target.square().sum(-1, keepdim=True)
    projection = target * (estimate * target).sum(-1, keepdim=True) / (energy + _TINY)
    power, error = projection.square().sum(-1), (estimate - projection).square().sum(-1)
    if ceiling is not None:
        error = error + 10 ** (-ceiling / 10) * power
    return 10 * torch.log10((power + _TINY) / (error + _TINY))


def level_error(estimate: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Absolute level error in dB: distance from the gain that brings the estimate closest to the target.

    SI-SDR does not depend on the level, so training on it alone leaves the level undetermined.
    estimate, target (B, N); lengths (B,) valid samples -> (B,).
    """
    keep = length_mask(lengths, target.shape[-1])
    estimate, target = estimate * keep, target * keep
    gain = (estimate * target).sum(-1) / (estimate.square().sum(-1) + _TINY)
    return 20 * gain.clamp(min=1e-3).log10().abs()


def multi_resolution_stft(estimate: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude distance, mean of 3 resolutions (Yamamoto et al. 2020).

    estimate, target (B, N), lengths (B,) -> (B,).
    """
    keep = length_mask(lengths, target.shape[-1])
    estimate, target = estimate * keep, target * keep
    return sum(_stft_distance(estimate, target, *pair) for pair in RESOLUTIONS) / len(RESOLUTIONS)


def _stft_distance(estimate: Tensor, target: Tensor, size: int, hop: int) -> Tensor:
    a, b = (_magnitude(wav, size, hop) for wav in (estimate, target))  # (B, F, T)
    norm = torch.linalg.vector_norm
    convergence = norm(a - b, dim=(1, 2)) / norm(b, dim=(1, 2)).clamp(min=_TINY**0.5)
    return convergence + (a.log() - b.log()).abs().mean((1, 2))


def _magnitude(wav: Tensor, size: int, hop: int) -> Tensor:
    window = torch.hann_window(size, dtype=wav.dtype, device=wav.device)
    # zero padding: independent of the padding of the batch
    spectrum = torch.stft(wav, size, hop, window=window, pad_mode="constant", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power + 1e-7).sqrt()


def spectral_error(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared error of compressed spectra (B, 2, F, T), mean over bins, sum over frames: (B,)."""
    return ((estimate - target).square().mean((1, 2)) * mask).sum(-1)
