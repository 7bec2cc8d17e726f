"""What vocoders are trained on: spectra at several resolutions, the mel, and what critics say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voicediff.audio import MelSpec, log_mel

RESOLUTIONS = (512, 1024, 2048)  # samples of the window; the hop is a quarter

#: what a discriminator says of a batch: scores (B, ...) and the features of its layers, per part
Verdict = list[tuple[Tensor, list[Tensor]]]


def spectrum(wav: Tensor, size: int) -> Tensor:
    """Magnitudes (B, size // 2 + 1, frames) of wav (B, N), Hann window, hop size / 4."""
    window = torch.hann_window(size, dtype=wav.dtype, device=wav.device)
    z = torch.stft(wav, size, size // 4, window=window, center=True, return_complex=True)
    return (z.real.square() + z.imag.square() + 1e-9).sqrt()


def spectral_loss(made: Tensor, natural: Tensor, sizes: Sequence[int] = RESOLUTIONS) -> Tensor:
    """Multi-resolution STFT loss of each item (B,), waves (B, N); 0 where they are equal.

    Spectral convergence |X - Y|_F / |Y|_F and the mean of |ln X - ln Y|, averaged over resolutions
    (Yamamoto et al. 2020, Eq. 4 to 6).
    """
    total = made.new_zeros(len(made))
    for size in sizes:
        x, y = spectrum(made, size), spectrum(natural, size)
        gap, scale = (torch.linalg.vector_norm(z, dim=(1, 2)) for z in (x - y, y))
        total = total + gap / scale.clamp(min=1e-3)
        total = total + (x.log() - y.log()).abs().mean((1, 2))
    return total / len(sizes)


def mel_loss(made: Tensor, natural: Tensor, spec: MelSpec) -> Tensor:
    """Mean absolute difference of the log-mels of each item (B,), natural log."""
    return (log_mel(made, spec) - log_mel(natural, spec)).abs().mean((1, 2))


def critic_loss(of_natural: Verdict, of_made: Verdict) -> Tensor:
    """Hinge loss of the discriminators, summed over their parts, per item (B,)."""
    return sum(
        _mean((1 - real).relu()) + _mean((1 + fake).relu())
        for (real, _), (fake, _) in zip(of_natural, of_made, strict=True)
    )


def fooling_loss(of_made: Verdict) -> Tensor:
    """How far the made sound is from being taken for natural, summed over parts, per item (B,)."""
    return sum(_mean((1 - fake).relu()) for fake, _ in of_made)


def feature_loss(of_natural: Verdict, of_made: Verdict) -> Tensor:
    """Feature matching (Kumar et al. 2019): mean absolute difference, mean over layers, per item."""
    distances = [
        _mean((a.detach() - b).abs())
        for (_, real), (_, fake) in zip(of_natural, of_made, strict=True)
        for a, b in zip(real, fake, strict=True)
    ]
    return sum(distances) / len(distances) * len(of_made)


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1)
