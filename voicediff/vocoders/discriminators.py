"""Discriminators of waveforms, at several periods and at several resolutions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.registry import register
from voicediff.vocoders.losses import DiscriminatorOutput, spectrum

SLOPE = 0.1


class Discriminator(nn.Module, ABC):
    """A set of sub-discriminators, each with its own view of the waveform."""

    @abstractmethod
    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav (B, N) -> for each sub-discriminator its scores (B, ...) and the features of its layers."""


@register("discriminator", "multi_period")
class MultiPeriod(Discriminator):
    """Multi-period discriminator of HiFi-GAN (Kong et al. 2020, section 2.3): periodic artefacts.

    Args:
        periods: in samples; primes avoid overlap between the sub-discriminators.
        channels: of the first layer, growing by `growth` up to `max_channels`.
    """

    def __init__(
        self,
        periods: tuple[int, ...] = (2, 3, 5, 7, 11),
        channels: int = 32,
        growth: int = 4,
        max_channels: int = 1024,
    ):
        super().__init__()
        self.sides = nn.ModuleList(_Period(p, channels, growth, max_channels) for p in periods)

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        return [side(wav) for side in self.sides]


@register("discriminator", "multi_resolution")
class MultiResolution(Discriminator):
    """Multi-resolution spectrogram discriminator of UnivNet (Jang et al. 2021): spectral artefacts.

    Args:
        sizes: window lengths in samples; the hop is a quarter of the window.
        channels: of all layers.
    """

    def __init__(self, sizes: tuple[int, ...] = (512, 1024, 2048), channels: int = 32):
        super().__init__()
        self.sides = nn.ModuleList(_Resolution(size, channels) for size in sizes)

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        return [side(wav) for side in self.sides]


class _Period(nn.Module):
    def __init__(self, period: int, channels: int, growth: int, max_channels: int):
        super().__init__()
        self.period = period
        widths = [1, channels]
        while len(widths) < 5:
            widths.append(min(widths[-1] * growth, max_channels))
        self.layers = nn.ModuleList(_conv(a, b, (5, 1), (3, 1)) for a, b in pairwise(widths))
        self.layers.append(_conv(widths[-1], widths[-1], (5, 1), (1, 1)))
        self.last = _conv(widths[-1], 1, (3, 1), (1, 1))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        folded = F.pad(wav[:, None], (0, -wav.shape[1] % self.period), mode="reflect")
        return _through(folded.unflatten(-1, (-1, self.period)), self.layers, self.last)


class _Resolution(nn.Module):
    def __init__(self, size: int, channels: int):
        super().__init__()
        self.size = size
        strides = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1))  # frequency, time
        widths = [1, *[channels] * len(strides)]
        self.layers = nn.ModuleList(
            _conv(a, b, (5, 3), stride)
            for (a, b), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.last = _conv(channels, 1, (3, 3), (1, 1))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        levels = torch.log10(spectrum(wav, self.size)[:, None].clamp(min=1e-4))
        return _through(levels, self.layers, self.last)


def _conv(before: int, after: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.utils.parametrizations.weight_norm(
        nn.Conv2d(before, after, kernel, stride, padding=padding)
    )


def _through(
    x: Tensor, layers: Sequence[nn.Module], last: nn.Module
) -> tuple[Tensor, list[Tensor]]:
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        features.append(x)
    return last(x).flatten(1), features
