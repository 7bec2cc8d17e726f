"""Losses on sounds and compressed spectra, per item: what separation is trained with."""

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

    estimate, target (B, N); lengths (B,) valid samples. `ceiling`: dB that are approached, never
    passed (Wisdom et al. 2020, Eq. 2), so that items already separated do not rule the gradient.
    """
    keep = length_mask(lengths, target.shape[-1])
    estimate, target = estimate * keep, target * keep
    energy = target.square().sum(-1, keepdim=True)
    wanted = target * (estimate * target).sum(-1, keepdim=True) / (energy + _TINY)
    power, error = wanted.square().sum(-1), (estimate - wanted).square().sum(-1)
    if ceiling is not None:
        error = error + 10 ** (-ceiling / 10) * power
    return 10 * torch.log10((power + _TINY) / (error + _TINY))


def level_error(estimate: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """dB, either way, between the estimate and the gain at which it is nearest to the target: (B,).

    SI-SDR is deaf to level: alone it lets a network drift to any. estimate, target (B, N); lengths
    (B,) valid samples.
    """
    keep = length_mask(lengths, target.shape[-1])
    estimate, target = estimate * keep, target * keep
    gain = (estimate * target).sum(-1) / (estimate.square().sum(-1) + _TINY)
    return 20 * gain.clamp(min=1e-3).log10().abs()


def multi_resolution_stft(estimate: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude distance, mean of three resolutions (Yamamoto 2020).

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
    # zeros around it: the same whatever follows in the batch
    spectrum = torch.stft(wav, size, hop, window=window, pad_mode="constant", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power + 1e-7).sqrt()


def spectral_error(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared error of compressed spectra (B, 2, F, T), mean over bins, sum over frames: (B,)."""
    return ((estimate - target).square().mean((1, 2)) * mask).sum(-1)
