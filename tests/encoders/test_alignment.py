"""Video states are resampled by time, and padding has no effect."""

import torch

from voicediff.encoders.alignment import at_spectrum

FPS, RATE = 25.0, 125.0


def test_a_ramp_over_time_is_preserved():
    middles = (torch.arange(10) + 0.5) / FPS
    found = at_spectrum(middles[None, :, None], 51, FPS, RATE)[0, :, 0]
    times = (torch.arange(51) / RATE).clamp(middles[0], middles[-1])
    assert (found - times).abs().max() < 1e-6


def test_a_short_item_holds_its_own_last_state():
    torch.manual_seed(0)
    states, frames = torch.randn(2, 10, 3), torch.tensor([10, 6])
    together = at_spectrum(states, 51, FPS, RATE, frames)
    alone = at_spectrum(states[1:, :6], 31, FPS, RATE)
    assert torch.equal(together[1:, :31], alone)
    assert torch.equal(together[1, 31:], states[1, 5].expand(20, 3))
    assert torch.equal(together[:1], at_spectrum(states[:1], 51, FPS, RATE))
