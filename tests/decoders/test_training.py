"""Training of every decoder in the diffusion model, on mel and on complex spectra."""

from __future__ import annotations

import pytest
import torch

from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.registry import build

SMALL = {
    "unet": {"channels": 16, "multipliers": [1, 2]},
    "wavenet": {"layers": 3, "channels": 24},
    "lynxnet": {"layers": 2, "channels": 24, "kernel": 7},
    "lynxnet2": {"layers": 2, "channels": 24, "kernel": 7},
    "ncsnpp": {"channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []},
    "patch_unet": {"channels": [16, 24]},
    "dit": {"channels": 32, "layers": 2, "heads": 2},
}
#: channels of mel (singing) and of complex spectra (separation)
WHERE = {"unet": (1, 2), "dit": (1, 2), "ncsnpp": (2,), "patch_unet": (2,)}
CASES = [(name, c) for name in SMALL for c in WHERE.get(name, (1,))]


@pytest.mark.parametrize("name, channels", CASES)
def test_a_few_steps_lower_the_loss(name, channels):
    torch.manual_seed(0)
    decoder = build("decoder", {"name": name, **SMALL[name]}, channels_in=channels, bins=16)
    sde, objective = build("sde", {"name": "vp_mean"}), build("objective", {"name": "edm"})
    model = Diffusion(decoder, sde, objective)
    x0 = torch.linspace(-1, 1, 16)[:, None].expand(4, channels, 16, 12)
    mu, mask = torch.zeros_like(x0), length_mask(torch.tensor([12, 12, 9, 12]))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for step in range(12):
        noise = SeededNoise([10 * step + i for i in range(4)])
        loss = model.loss(x0, mu, Conditions(), mask, noise).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3]), losses


def test_masks_are_learned_for_any_phases():
    """The target is half of the bins; new spectra in every step. `patch_unet` learns more slowly."""

    def error(name: str) -> float:
        torch.manual_seed(0)
        spec = {"name": name, "channels": [16, 24]}
        decoder = build("decoder", spec, channels_in=2, bins=16)
        model = Diffusion(
            decoder, build("sde", {"name": "bridge"}), build("objective", {"name": "data"})
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        mask, low = torch.ones(4, 12, dtype=torch.bool), (torch.arange(16) < 8)[:, None]
        losses = []
        for step in range(30):
            noise = SeededNoise([10 * step + i for i in range(4)])
            mu = torch.randn(4, 2, 16, 12)
            loss = model.loss(mu * low, mu, Conditions(), mask, noise).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return sum(losses[-5:]) / sum(losses[:5])

    masked, mapped = error("patch_mask"), error("patch_unet")
    assert masked < 0.25 and mapped > 0.7
