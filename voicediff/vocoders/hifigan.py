"""HiFi-GAN's generator: transposed convolutions with multi-receptive-field fusion."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise
from voicediff.errors import ConfigError
from voicediff.registry import register
from voicediff.vocoders.base import Vocoder

SLOPE = 0.1


@register("vocoder", "hifigan")
class HiFiGAN(Vocoder):
    """HiFi-GAN's generator (Kong et al. 2020, section 2.2); many published checkpoints, no F0.

    The defaults are version 1 (13.9 M parameters); versions 2 and 3 are

        {name: hifigan, channels: 128}
        {name: hifigan, channels: 256, rates: [8, 8, 4], kernels: [16, 16, 8], block: 2,
         block_kernels: [3, 5, 7], block_dilations: [[1, 2], [2, 6], [3, 12]]}

    Args:
        spec: mel description; the product of `rates` is its hop.
        channels: of the first stage, halved at each.
        rates, kernels: of the transposed convolutions.
        block_kernels, block_dilations: of the residual blocks that are averaged at each stage.
        block: type of residual block: 1 adds a plain convolution after each dilated one, 2 does not.
        chunk: frames synthesised at once; the result does not depend on it.
    """

    def __init__(
        self,
        spec: MelSpec = MelSpec(),
        channels: int = 512,
        rates: tuple[int, ...] = (8, 8, 2, 2),
        kernels: tuple[int, ...] = (16, 16, 4, 4),
        block_kernels: tuple[int, ...] = (3, 7, 11),
        block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        block: int = 1,
        chunk: int = 1024,
    ):
        super().__init__()
        if math.prod(rates) != spec.hop:
            raise ConfigError(
                f"vocoder hifigan: rates {list(rates)} multiply to {math.prod(rates)}, "
                f"but the mel's hop is {spec.hop}"
            )
        self.spec, self.rates, self.chunk = spec, rates, chunk
        self.enter = nn.Conv1d(spec.n_mels, channels, 7, padding=3)
        shapes = list(zip(block_kernels, block_dilations, strict=True))
        self.stages = nn.ModuleList()
        for rate, kernel in zip(rates, kernels, strict=True):
            grow = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, (kernel - rate) // 2)
            channels //= 2
            blocks = [Block(channels, *shape, followed=block == 1) for shape in shapes]
            self.stages.append(Stage(grow, blocks))
        self.leave = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T) -> wav (B, T * hop); neither `f0` nor `noise` is used."""
        return self._in_chunks(mel, self._make)

    @property
    def context(self) -> int:
        """Receptive field in frames on each side."""
        reach, rate = 3.0, 1
        for stage, own in zip(self.stages, self.rates, strict=True):
            reach += stage.grow.kernel_size[0] / own / rate
            rate *= own
            reach += max(block.reach for block in stage.blocks) / rate
        return math.ceil(reach + 3 / rate)

    def _make(self, mel: Tensor) -> Tensor:
        h = self.enter(mel)
        for stage in self.stages:
            h = stage(h)
        return torch.tanh(self.leave(F.leaky_relu(h)))[
            :, 0
        ]  # default slope 0.01, as in the published code


class Stage(nn.Module):
    """A transposed convolution and the mean of its residual blocks."""

    def __init__(self, grow: nn.Module, blocks: list[Block]):
        super().__init__()
        self.grow, self.blocks = grow, nn.ModuleList(blocks)

    def forward(self, h: Tensor) -> Tensor:
        h = self.grow(F.leaky_relu(h, SLOPE))
        return sum(block(h) for block in self.blocks) / len(self.blocks)


class Block(nn.Module):
    """Residual dilated convolutions, each followed by a plain one or not."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], followed: bool):
        super().__init__()
        half = kernel // 2
        self.reach = half * (sum(dilations) + followed * len(dilations))
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=half * d, dilation=d) for d in dilations
        )
        count = len(dilations) if followed else 0
        self.plain = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=half) for _ in range(count)
        )

    def forward(self, h: Tensor) -> Tensor:
        for i, dilated in enumerate(self.dilated):
            y = dilated(F.leaky_relu(h, SLOPE))
            if self.plain:
                y = self.plain[i](F.leaky_relu(y, SLOPE))
            h = h + y
        return h
