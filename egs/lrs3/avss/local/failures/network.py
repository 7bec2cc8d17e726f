"""A small separator: a lip encoder and a U-Net that masks the mixture, below 500 000 weights.

Everything that a fault changes is a separate method or module.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.audio.stft import STFT
from voicediff.networks.attention import Attention

LIPS = 64  # dimensions of a frame of lip features
CHANNELS = (16, 32, 48, 64)  # of the U-Net's levels
BANDS = 32  # targets of the warm-up per frame: 16 bands, two halves of the frame


class LipEncoder(nn.Module):
    """Mouth crops (B, T, 96, 96) uint8 -> features (B, T, LIPS) at 25 per second.

    3-D convolution, two 2-D ones per frame, one in time; batch norms and dropout as in the
    pre-trained networks that are commonly used frozen. `bands` is the head of the warm-up.
    """

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        self.front = nn.Conv3d(1, 16, (5, 5, 5), (1, 2, 2), (2, 2, 2), bias=False)
        self.front_norm = nn.BatchNorm3d(16)
        self.trunk = nn.Sequential(*_unit(16, 32), *_unit(32, 64))
        self.temporal = nn.Conv1d(64, LIPS, 5, padding=2, bias=False)
        self.temporal_norm = nn.BatchNorm1d(LIPS)
        self.dropout = nn.Dropout(dropout)
        self.bands = nn.Linear(LIPS, BANDS)

    def forward(self, mouth: Tensor) -> Tensor:
        frames = F.avg_pool2d(mouth[..., 4:92, 4:92].float(), 2)  # (B, T, 44, 44)
        x = self.convolved((frames / 255 - 0.421) / 0.165)
        x = F.relu(self.front_norm(x)).transpose(1, 2)
        x = self.trunk(x.flatten(0, 1)).mean((2, 3)).unflatten(0, x.shape[:2])
        return self.dropout(F.relu(self.temporal_norm(self.temporal(x.mT)))).mT

    def convolved(self, frames: Tensor) -> Tensor:
        """frames (B, T, H, W) -> (B, C, T, H / 2, W / 2): clips are independent."""
        return self.front(frames[:, None])


def _unit(width_in: int, width: int) -> list[nn.Module]:
    convolution = nn.Conv2d(width_in, width, 3, 2, 1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


class UNet(nn.Module):
    """Planes (B, C, 256, T) and lips (B, L, LIPS) -> planes (B, C', 256, T); T a multiple of 16.

    `fusion(level, h, lips)` adds lip features to h (B, C, F, T) of a level, once in the contracting
    and once in the expanding path.
    """

    def __init__(
        self,
        planes: int,
        out: int,
        fusion: nn.Module,
        channels: tuple[int, ...] = CHANNELS,
    ):
        super().__init__()
        self.fusion = fusion
        self.enter = nn.Conv2d(planes, channels[0], (8, 4), (4, 2), (2, 1))
        self.down = nn.ModuleList(Block(width, 64 >> i) for i, width in enumerate(channels))
        self.up = nn.ModuleList(Block(width, 64 >> i) for i, width in enumerate(channels))
        pairs = list(itertools.pairwise(channels))
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.widen = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.leave = nn.ConvTranspose2d(channels[0], out, (8, 4), (4, 2), (2, 1))

    def forward(self, x: Tensor, lips: Tensor) -> Tensor:
        h, kept = self.enter(x), []
        for level, block in enumerate(self.down):
            h = block(self.fusion(level, h, lips))
            kept.append(h)
            h = self.narrow[level](h) if level < len(self.narrow) else h
        for level in reversed(range(len(self.up))):
            if level < len(self.widen):
                h = self.widen[level](h) + kept[level]
            h = self.up[level](self.fusion(level, h, lips))
        return self.leave(F.silu(h))


class Block(nn.Module):
    """Residual block of two 3 x 3 convolutions and a full-band linear layer."""

    def __init__(self, width: int, bins: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(4, width) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.band = nn.Linear(bins, bins)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.band(h.mT).mT
        return x + self.conv2(F.silu(self.norm2(h)))


class FiLM(nn.Module):
    """FiLM: lip features at the frame rate of a level scale and shift its channels."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(LIPS, 2 * width) for width in channels)

    def forward(self, level: int, h: Tensor, lips: Tensor) -> Tensor:
        at_rate = F.interpolate(lips.mT, h.shape[-1], mode="linear")  # (B, LIPS, T)
        scale, shift = self.maps[level](at_rate.mT).mT[:, :, None].chunk(2, 1)
        return h * (1 + scale) + shift


class PlacedAttention(nn.Module):
    """Every frame of every level attends to the lips, with positions on a common time axis."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS, heads: int = 4):
        super().__init__()
        self.layers = nn.ModuleList(Attention(width, heads, 16, LIPS) for width in channels)

    def forward(self, level: int, h: Tensor, lips: Tensor) -> Tensor:
        attention, frames, count = self.layers[level], h.shape[-1], lips.shape[1]
        steps = torch.arange(frames, device=h.device)
        keys = attention.keys(lips, torch.arange(count, device=h.device)[None])
        # centres of the frames of the level, in frames of video
        queries = ((steps + 0.5) * count / frames - 0.5)[None]
        return h + attention(h.mean(2).mT, keys, None, queries).mT[:, :, None]


class Separator(nn.Module):
    """mixture (B, N), lips (B, T, LIPS) -> the track of that face (B, N): a mask on the STFT."""

    def __init__(self, fusion: nn.Module | None = None):
        super().__init__()
        self.stft = STFT()
        self.network = UNet(2, 1, FiLM() if fusion is None else fusion)

    def forward(self, mixture: Tensor, lips: Tensor) -> Tensor:
        spectrum = self.stft(mixture)  # (B, 2, 256, T)
        padded = F.pad(spectrum, (0, -spectrum.shape[-1] % 16))
        mask = torch.sigmoid(self.network(network_planes(padded), lips))[..., : spectrum.shape[-1]]
        # the mask is defined on squared magnitudes; the spectrum is compressed
        return self.stft.inverse(spectrum * mask.float().sqrt(), mixture.shape[-1])


def network_planes(spectrum: Tensor) -> Tensor:
    """Compressed spectrum (B, 2, F, T) -> root and log magnitude, near unit variance."""
    magnitude = spectrum.square().sum(1, keepdim=True).sqrt()
    return torch.cat([magnitude * 4 - 1, (magnitude + 1e-3).log() / 2 + 1.5], 1)
