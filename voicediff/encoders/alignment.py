"""Resampling of video states to the frames of the spectrum, by time."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.networks.precision import narrowed, widened


def at_spectrum(
    states: Tensor, count: int, fps: float, frame_rate: float, frames: Tensor | None = None
) -> Tensor:
    """States of video frames (B, T, D) -> (B, count, D) at the frames of a centred STFT.

    The time of video frame k is its middle, (k + 1/2) / fps; frame j of the STFT is centred at
    j / frame_rate. States are interpolated linearly and held constant outside the video. frames (B,)
    gives the length of each item, so that its last frame is held, not the padding.
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
    return torch.lerp(
        _gathered(states, before), _gathered(states, (before + 1).minimum(last)), share
    )


def _gathered(states: Tensor, index: Tensor) -> Tensor:
    """states (B, T, D) at index (B, N): (B, N, D)."""
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[-1]))
