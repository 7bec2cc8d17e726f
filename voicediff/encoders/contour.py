"""Pitch contour and voicing relative to the score, and the harmonics of F0 on the mel scale."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.networks.layers import ConvBlock

REACH = 3.0  # semitones: maximum deviation of the contour from the melody


class PitchContour(nn.Module):
    """Predicts F0, as the melody plus a bounded deviation, and the voicing of each frame.

    It is a regression, so it predicts the mean contour at note onsets and offsets. Vibrato is not
    predicted, because its phase is unknown and averages out.
    """

    def __init__(self, dim: int, channels: int = 96, layers: int = 3, dropout: float = 0.1):
        super().__init__()
        self.enter = nn.Conv1d(dim, channels, 1)
        self.blocks = nn.ModuleList(ConvBlock(channels, 5, dropout, 2**i) for i in range(layers))
        self.leave = nn.Conv1d(channels, 2, 1)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """states (B, T, D), mask (B, T) -> deviation in semitones (B, T), voicing logit (B, T)."""
        mask = mask[:, None]
        x = self.enter(states.mT) * mask
        for block in self.blocks:
            x = block(x, mask)
        deviation, voicing = self.leave(x).unbind(1)
        return REACH * torch.tanh(deviation / REACH), voicing


def contour_losses(
    deviation: Tensor, voicing: Tensor, melody: Tensor, f0: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of the absolute error in semitones over voiced frames, and of the voicing cross-entropy.

    Frames whose measured F0 is more than REACH from the melody (octave errors, the end of the
    previous note) are excluded. All arguments (B, T); f0 in Hz, 0 where unvoiced.
    """
    voiced = (f0 > 0) & mask
    target = hz_to_midi(f0) - melody
    near = voiced & (target.abs() < REACH)
    pitch = ((deviation - target).abs() * near).sum()
    entropy = F.binary_cross_entropy_with_logits(voicing, voiced.float(), reduction="none")
    return pitch, (entropy * mask).sum()


def contour_f0(deviation: Tensor, voicing: Tensor, melody: Tensor, mask: Tensor) -> Tensor:
    """F0 in Hz (B, T), 0 where unvoiced."""
    return midi_to_hz(melody + deviation) * ((voicing > 0) & mask)


def hz_to_midi(f0: Tensor) -> Tensor:
    return 69 + 12 * torch.log2(f0.clamp(min=1.0) / 440.0)


def midi_to_hz(midi: Tensor) -> Tensor:
    return 440.0 * 2.0 ** ((midi - 69) / 12)


class Harmonics(nn.Module):
    """The harmonics of F0 on the mel scale, from a table: (B, T) in Hz -> (B, F, T).

    Each entry is the mel energy of harmonics of equal amplitude under the analysis window, in
    [0, 1]; zero where unvoiced. With this input a network need not learn the positions of the
    harmonics of every pitch from data.

    Args:
        filters: mel filter bank (F, n_fft // 2 + 1).
        sample_rate: Hz.
        win: length of the analysis window (Hann) in samples.
    """

    LOWEST, STEPS, OCTAVES = 55.0, 120, 5  # ten cents an entry

    def __init__(self, filters: Tensor, sample_rate: int, win: int):
        super().__init__()
        entries = self.STEPS * self.OCTAVES + 1
        f0 = self.LOWEST * 2.0 ** (torch.arange(entries) / self.STEPS)
        table = torch.stack([_comb(f.item(), filters, sample_rate, win) for f in f0])
        self.register_buffer("table", table, persistent=False)  # (entries, F)

    def forward(self, f0: Tensor) -> Tensor:
        place = torch.log2(f0.clamp(min=self.LOWEST) / self.LOWEST) * self.STEPS
        place = place.clamp(max=len(self.table) - 1.001)
        low, part = place.floor().long(), (place - place.floor())[..., None]
        comb = torch.lerp(self.table[low], self.table[low + 1], part)
        return (comb * (f0 > 0)[..., None]).mT


def _comb(f0: float, filters: Tensor, sample_rate: int, win: int) -> Tensor:
    """Mel spectrum (F,) of harmonics of equal amplitude, 40 dB scaled to [0, 1]."""
    frequencies = torch.linspace(0, sample_rate / 2, filters.shape[1])
    harmonics = f0 * torch.arange(1, int(sample_rate / 2 / f0) + 1)
    offset = (frequencies[:, None] - harmonics) * win / sample_rate  # in DFT bins of the window
    lobe = _hann_response(offset).square().sum(1)
    energy = filters @ lobe / filters.sum(1).clamp(min=1e-8)
    level = 10 * torch.log10(energy.clamp(min=1e-8))
    return ((level - level.max() + 40) / 40).clamp(min=0)


def _hann_response(offset: Tensor) -> Tensor:
    """Magnitude of the Hann window's transform at `offset` bins, 1 at 0."""
    gap = 1 - offset.square()
    close = gap.abs() < 1e-4
    response = torch.where(close, 0.5, torch.sinc(offset) / gap.masked_fill(close, 1.0))
    return response.abs() * (offset.abs() < 2.0)  # side lobes are neglected
