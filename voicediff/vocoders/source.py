"""Excitation of voiced sound: all harmonics of F0 with equal amplitude and continuous phase."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from voicediff.networks.precision import narrowed, widened


def without_gaps(f0: Tensor) -> Tensor:
    """F0 (B, T), interpolated linearly over unvoiced frames; 100 Hz for items without voiced frames."""
    filled = []
    for curve in f0:
        voiced = torch.nonzero(curve > 0)[:, 0]
        if len(voiced) == 0:
            filled.append(torch.full_like(curve, 100.0))
            continue
        place = torch.arange(len(curve), device=f0.device)
        right = torch.searchsorted(voiced, place).clamp(max=len(voiced) - 1)
        left = (right - 1).clamp(min=0)
        a, b = voiced[left], voiced[right]
        part = ((place - a) / (b - a).clamp(min=1)).clamp(0, 1).to(curve)
        filled.append(curve[a] + part * (curve[b] - curve[a]))
    return torch.stack(filled)


def cycles_and_hertz(curve: Tensor, hop: int, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Phase in cycles and F0 of each sample, from F0 of frames and one neighbour each side (B, T + 2).

    Returns cycles (B, T hop + 1), from 0 on, in float64 (see `widened`), because float32 loses the
    fraction after some seconds; and Hz (B, T hop).
    """
    hertz = F.interpolate(curve[:, None], scale_factor=hop, mode="linear", align_corners=False)
    hertz = hertz[:, 0, hop:-hop]
    cycles = (widened(hertz) / sample_rate).cumsum(1)
    return F.pad(cycles, (1, 0)), hertz


def pulses(cycles: Tensor, hertz: Tensor, sample_rate: int) -> Tensor:
    """Band-limited pulses (B, N), one per cycle, with the power of unit noise.

    All harmonics in phase below half the rate, as a closed form:
    sum_{k=1..K} cos(k a) = sin((K + 1/2) a) / (2 sin(a / 2)) - 1/2 (Dirichlet's kernel). The highest
    one fades out below the Nyquist frequency. cycles (B, N), hertz (B, N).
    """
    room = sample_rate / 2 / hertz
    highest = room.floor() - 1
    cycles = narrowed(cycles % 1, hertz)
    half = torch.pi * (cycles - (cycles > 0.5).to(hertz))  # a / 2 in (-pi / 2, pi / 2]
    bottom = half.sin()
    near = bottom.abs() < 1e-4  # both are linear there to float precision
    kernel = ((2 * highest + 1) * half).sin() / torch.where(near, 1.0, 2 * bottom)
    kernel = torch.where(near, highest + 0.5, kernel) - 0.5
    last = (room - room.floor()) * (2 * (highest + 1) * half).cos()
    return (kernel + last) * (4 * hertz / sample_rate).sqrt()
