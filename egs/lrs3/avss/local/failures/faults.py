"""The faults: each is the smallest change to a healthy part that reproduces it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from failures.batches import Loader
from failures.network import CHANNELS, LIPS, LipEncoder
from voicediff.audio.stft import STFT
from voicediff.networks.attention import Attention


class DesynchronisedLoader(Loader):
    """The start is rounded down to whole seconds: the video starts up to 24 frames before the sound."""

    def video_start(self, sample: int) -> int:
        return sample // 16000 * 25


class MismatchedSTFT:
    """Analysis with 512 / 160 without the Nyquist bin, synthesis with 510 / 128."""

    def __init__(self):
        self.analysis, self.synthesis = STFT(n_fft=512, hop=160), STFT(n_fft=510, hop=128)

    def __call__(self, wav: Tensor) -> Tensor:
        return self.analysis(wav)[:, :, :-1]

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        return self.synthesis.inverse(spectrum, length)


class CoarseAttention(nn.Module):
    """Attention to the lips at 16, 8 and 4 tokens of time, at the lowest level only, without positions."""

    def __init__(self, tokens: tuple[int, ...] = (16, 8, 4), heads: int = 4):
        super().__init__()
        self.tokens, self.bottom = tokens, len(CHANNELS) - 1
        self.layers = nn.ModuleList(Attention(CHANNELS[-1], heads, 16, LIPS) for _ in tokens)

    def forward(self, level: int, h: Tensor, lips: Tensor) -> Tensor:
        if level < self.bottom:
            return h
        for count, attention in zip(self.tokens, self.layers, strict=True):
            queries = F.adaptive_avg_pool1d(h.mean(2), count).mT
            answer = attention(queries, attention.keys(lips, None), None, None)
            h = h + F.interpolate(answer.mT, h.shape[-1], mode="linear")[:, :, None]
        return h


class CarelesslyFrozen(nn.Module):
    """A frozen encoder in train mode: batch norms use the statistics of one clip, and dropout is on."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)

    def forward(self, mouth: Tensor) -> Tensor:
        return torch.cat([self.encoder(clip[None]) for clip in mouth])  # batch 1


class Frozen(nn.Module):
    """The correction: a frozen encoder stays in eval mode when its parents are set to train mode."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, mouth: Tensor) -> Tensor:
        return self.encoder(mouth)


class EndToEndLipEncoder(LipEncoder):
    """The clips of a batch are concatenated in time, so that the 3-D convolution crosses their ends."""

    def convolved(self, frames: Tensor) -> Tensor:
        joined = self.front(frames.flatten(0, 1)[None, None])  # (1, C, B T, H, W)
        return joined[0].unflatten(1, frames.shape[:2]).movedim(0, 1)
