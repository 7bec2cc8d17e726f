"""Losses of vocoders: multi-resolution spectra, mel, adversarial losses, feature matching."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voicediff.audio import MelSpec, log_mel

RESOLUTIONS = (512, 1024, 2048)  # samples of the window; the hop is a quarter

#: output of a discriminator: per sub-discriminator, scores (B, ...) and features of its layers
DiscriminatorOutput = list[tuple[Tensor, list[Tensor]]]


def spectrum(wav: Tensor, size: int) -> Tensor:
    """Magnitudes (B, size // 2 + 1, frames) of wav (B, N), Hann window, hop size / 4."""
    window = torch.hann_window(size, dtype=wav.dtype, device=wav.device)
    z = torch.stft(wav, size, size // 4, window=window, center=True, return_complex=True)
    return (z.real.square() + z.imag.square() + 1e-9).sqrt()


def spectral_loss(made: Tensor, natural: Tensor, sizes: Sequence[int] = RESOLUTIONS) -> Tensor:
    """Multi-resolution STFT loss of each item (B,); made, natural (B, N).

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


def discriminator_loss(of_natural: DiscriminatorOutput, of_made: DiscriminatorOutput) -> Tensor:
    """Hinge loss of the discriminators, summed over sub-discriminators, per item (B,)."""
    return sum(
        _mean((1 - real).relu()) + _mean((1 + fake).relu())
        for (real, _), (fake, _) in zip(of_natural, of_made, strict=True)
    )


def adversarial_loss(of_made: DiscriminatorOutput) -> Tensor:
    """Hinge loss of the generator, summed over sub-discriminators, per item (B,)."""
    return sum(_mean((1 - fake).relu()) for fake, _ in of_made)


def feature_loss(of_natural: DiscriminatorOutput, of_made: DiscriminatorOutput) -> Tensor:
    """Feature matching (Kumar et al. 2019): mean absolute difference of features, per item (B,).

    Mean over layers, summed over sub-discriminators. HiFi-GAN sums over layers as well (Kong et al.
    2020, Eq. 4), so its weight of this loss has an effect here that is smaller by the number of layers.
    """
    distances = [
        _mean((a.detach() - b).abs())
        for (_, real), (_, fake) in zip(of_natural, of_made, strict=True)
        for a, b in zip(real, fake, strict=True)
    ]
    return sum(distances) / len(distances) * len(of_made)


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1)
