"""Waveforms to compressed spectra and back, for items of different lengths; speech envelopes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from voicediff.audio import STFT
from voicediff.video.constants import HOP


def spectrum_frames(stft: STFT, frames: Tensor) -> Tensor:
    """Number of spectrum frames for a number of video frames."""
    return 1 + frames * HOP // stft.hop


def spectra_of(stft: STFT, wav: Tensor, samples: Tensor) -> Tensor:
    """Compressed spectra (B, 2, F, T) of waveforms (B, N), zero beyond the `samples` (B,) of each item."""
    if bool((samples == wav.shape[-1]).all()):
        return stft(wav.float())
    count = stft.frames(wav.shape[-1])
    parts = [stft(w[None, :n].float()) for w, n in zip(wav, samples.tolist(), strict=True)]
    return torch.cat([nn.functional.pad(s, (0, count - s.shape[-1])) for s in parts])


def waveforms_of(stft: STFT, spectrum: Tensor, samples: Tensor) -> Tensor:
    """Waveforms (B, N) of compressed spectra (B, 2, F, T), zero beyond the `samples` (B,) of each item."""
    counts, longest = samples.tolist(), int(samples.max())
    if min(counts) == longest:
        return stft.inverse(spectrum.float(), longest)
    parts = [
        stft.inverse(s[None, ..., : stft.frames(n)].float(), n)
        for s, n in zip(spectrum, counts, strict=True)
    ]
    return torch.cat([nn.functional.pad(w, (0, longest - w.shape[-1])) for w in parts])


def envelopes_of(stft: STFT, wav: Tensor, bands: int) -> Tensor:
    """Envelopes e (B, T, bands) of waveforms (B, N) in bands below 4 kHz; log10 power is 2 e - 1."""
    window = torch.hann_window(stft.n_fft, device=wav.device)
    spectrum = torch.stft(
        wav, stft.n_fft, stft.hop, window=window, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    edges = torch.linspace(0, power.shape[1] / 2, bands + 1).long().tolist()
    parts = [power[:, a:b].mean(1) for a, b in pairwise(edges)]
    levels = torch.log10(torch.stack(parts, -1) + 1e-4)
    return (levels + 1) / 2
