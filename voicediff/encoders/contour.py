"""How the voice moves around the written melody: pitch contour, voicing, and their harmonics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.networks.layers import ConvBlock

REACH = 3.0  # semitones: the contour stays within this distance of the written melody


class PitchContour(nn.Module):
    """Predicts F0 as the melody plus a bounded deviation, and whether a frame is voiced.

    Trained by regression, so it gives the expected scoop, drift and onset of each note; vibrato,
    whose phase nobody can know, averages out of it.
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
    """Summed absolute error in semitones over voiced frames near the melody, and voicing error.

    Frames whose measured F0 is farther than REACH from the melody (octave errors, the tail of the
    former note) are left out. All arguments (B, T); f0 in Hz, 0 where unvoiced.
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
    """Where the harmonics of F0 lie among the mel bins: a table lookup (B, T) Hz -> (B, F, T).

    Each entry is the mel energy of equal harmonics seen through the analysis window, compressed to
    [0, 1]; zero where unvoiced. It tells a network what a pitch *looks* like, so that it need not
    learn five octaves of comb positions from pairs of numbers and pictures.

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
    """Mel picture (F,) of harmonics of equal amplitude, scaled to [0, 1] over 40 dB."""
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
    return response.abs() * (offset.abs() < 2.0)  # beyond the main lobe it counts as nothing
