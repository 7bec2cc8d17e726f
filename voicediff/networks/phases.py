"""Features of a spectrum that do not change with its overall phase, and complex products."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PLANES = 6  # of `features`: log and root magnitude, phase differences in time and in frequency


def features(y: Tensor, hop: float) -> Tensor:
    """Compressed spectrum y (B, 2, F, T) -> (B, PLANES, F, T), of about unit size."""
    size = (y.float().square().sum(1) + 1e-12).sqrt()
    re, im = _unit(y)
    turn = 2 * math.pi * hop * torch.arange(y.shape[-2], device=y.device)[:, None]
    cos, sin = turn.cos(), turn.sin()  # phase advance per hop of a tone at the bin's centre
    before_re, before_im = (F.pad(u, (1, 0))[..., :-1] for u in (re, im))
    before_re, before_im = before_re * cos - before_im * sin, before_re * sin + before_im * cos
    below_re, below_im = (F.pad(u, (0, 0, 1, 0))[..., :-1, :] for u in (re, im))
    planes = [
        (size + 1e-3).log() / 2 + 1.5,
        4 * size,
        re * before_re + im * before_im,
        im * before_re - re * before_im,
        re * below_re + im * below_im,
        im * below_re - re * below_im,
    ]
    return torch.stack(planes, 1)


def relative_phase(z: Tensor, other: Tensor) -> Tensor:
    """Cosine and sine of the phase of z relative to another spectrum, both (B, 2, F, T); like z."""
    (a, b), (u, v) = _unit(z), _unit(other)
    return torch.stack([a * u + b * v, b * u - a * v], 1)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Complex product of (B, 2, F, T)."""
    (re, im), (u, v) = a.unbind(1), b.unbind(1)
    return torch.stack([re * u - im * v, re * v + im * u], 1)


def _unit(z: Tensor) -> tuple[Tensor, Tensor]:
    re, im = z.float().unbind(1)
    size = (re.square() + im.square() + 1e-12).sqrt()
    return re / size, im / size
