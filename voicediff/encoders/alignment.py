"""Video states at the frames of the spectrum: by time, never by a ratio of indices."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.networks.precision import narrowed, widened


def at_spectrum(
    states: Tensor, count: int, fps: float, frame_rate: float, frames: Tensor | None = None
) -> Tensor:
    """States of video frames (B, T, D) -> (B, count, D) at the frames of a centred STFT.

    Video frame k is shown from k / fps to (k + 1) / fps, so it stands for its middle; frame j of
    the STFT has its middle at j / frame_rate. In between states are interpolated, outside the
    nearest one is held: where `frames` (B,) says how long each item is, its own last one, not what
    it is padded with.
    """
    if frames is None:
        frames = states.new_full(states.shape[:1], states.shape[1], dtype=torch.long)
    last = (frames[:, None] - 1).clamp(min=0)
    end = widened(last)
    times = torch.arange(count, device=end.device, dtype=torch.float64) / frame_rate
    place = (times * fps - 0.5).clamp(min=0).minimum(end)
    before = place.floor()
    share = narrowed(place - before, states)[..., None]
    before = before.long().to(states.device)
    return torch.lerp(_picked(states, before), _picked(states, (before + 1).minimum(last)), share)


def _picked(states: Tensor, index: Tensor) -> Tensor:
    """states (B, T, D) at index (B, N): (B, N, D)."""
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[-1]))
