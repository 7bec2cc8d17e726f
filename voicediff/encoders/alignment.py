"""Video states at the frames of the spectrum: by time, never by a ratio of indices."""

from __future__ import annotations

import torch
from torch import Tensor


def at_spectrum(states: Tensor, count: int, fps: float, frame_rate: float) -> Tensor:
    """States of video frames (B, T, D) -> (B, count, D) at the frames of a centred STFT.

    Video frame k is shown from k / fps to (k + 1) / fps, so it stands for its middle; frame j of
    the STFT has its middle at j / frame_rate. In between states are interpolated, outside the
    nearest one is held.
    """
    last = states.shape[1] - 1
    times = torch.arange(count, device=states.device, dtype=torch.float64) / frame_rate
    place = (times * fps - 0.5).clamp(0, last)
    before = place.floor().long()
    share = (place - before).to(states.dtype)[:, None]
    return torch.lerp(states[:, before], states[:, (before + 1).clamp(max=last)], share)
