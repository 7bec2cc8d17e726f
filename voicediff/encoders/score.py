"""From a score to the prior mean mu: text and pitch encoders, expansion to frames, convolutions.

There is no duration predictor, because the score gives the frames of every phone. The states of the
two encoders are repeated over the frames of each phone and concatenated; convolution layers map them
to mu, the mean of the mel-spectrogram.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from voicediff.data.singing.dataset import PITCHES, PLACES, ScoreInputs
from voicediff.encoders.base import Encoder
from voicediff.networks.layers import ConvBlock


def phone_of_frame(durations: Tensor, frames: int) -> Tensor:
    """durations (B, L) -> index (B, T) of the phone that frame t belongs to (padding: the last)."""
    ends = durations.cumsum(1)
    at = torch.arange(frames, device=durations.device).expand(len(ends), -1).contiguous()
    return torch.searchsorted(ends, at, right=True).clamp(max=durations.shape[1] - 1)


def expand(states: Tensor, durations: Tensor, frames: int) -> Tensor:
    """Repeat states (B, L, D) over their durations (B, L) in frames -> (B, T, D).

    >>> states = torch.tensor([[[10.0], [20.0]]])
    >>> expand(states, torch.tensor([[1, 3]]), 4).flatten().tolist()
    [10.0, 20.0, 20.0, 20.0]
    """
    index = phone_of_frame(durations, frames)
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[-1]))


class ScoreEncoder(nn.Module):
    """Text and pitch encoder, expansion, convolutions: states (B, T, D) and mu (B, F, T).

    Args:
        text, pitch: the two encoders.
        bins: mel bins F.
        channels, layers, kernel, dropout: of the convolutions on frames.
        expansion: to frames `after` the encoders, or `before` them (encoders then run at frame rate).
        places: whether the position of each frame in its phone and note is an input of the
            convolutions, whose receptive field is limited.
        harmonics: whether the harmonics of the melody are an input of the convolutions.
    """

    def __init__(
        self,
        text: Encoder,
        pitch: Encoder,
        bins: int,
        channels: int,
        layers: int,
        kernel: int,
        dropout: float,
        expansion: Literal["after", "before"],
        places: bool,
        harmonics: bool,
    ):
        super().__init__()
        self.text, self.pitch = text, pitch
        self.expansion, self.places, self.harmonics = expansion, places, harmonics
        width = text.dim + pitch.dim + PLACES * places + bins * harmonics
        self.enter = nn.Conv1d(width, channels, 3, padding=1)
        dilations = [2 ** (i % 3) for i in range(layers)]
        self.blocks = nn.ModuleList(ConvBlock(channels, kernel, dropout, d) for d in dilations)
        self.mean = nn.Conv1d(channels, bins, 1)
        self.dim = channels

    def forward(self, score: ScoreInputs, comb: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """comb (B, F, T): harmonics of the melody, where used -> mu (B, F, T), states (B, T, D)."""
        mask = score.mask[:, None]  # (B, 1, T)
        parts = [torch.cat(self.symbols(score), -1).mT]
        if self.places:
            parts.append(score.places.mT)
        if self.harmonics:
            parts.append(comb)
        x = self.enter(torch.cat(parts, 1) * mask) * mask
        for block in self.blocks:
            x = block(x, mask)
        return self.mean(x) * mask, x.mT

    def symbols(self, score: ScoreInputs) -> tuple[Tensor, Tensor]:
        """States of the two encoders at frame rate: (B, T, text.dim), (B, T, pitch.dim)."""
        frames = score.mask.shape[1]
        pitches = score.pitches + PITCHES * score.slurs
        if self.expansion == "after":
            text = self.text(score.tokens, score.lengths)
            pitch = self.pitch(pitches, score.lengths)
            return expand(text, score.durations, frames), expand(pitch, score.durations, frames)
        index = phone_of_frame(score.durations, frames)
        lengths = score.mask.sum(1)
        return (
            self.text(score.tokens.gather(1, index), lengths),
            self.pitch(pitches.gather(1, index), lengths),
        )
