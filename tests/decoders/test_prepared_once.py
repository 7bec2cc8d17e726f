"""Projections of the conditions are computed once for all sampling steps."""

from collections import Counter

import pytest
import torch
from torch import nn

from voicediff.diffusion.guidance import GuidanceTerm
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.networks.conditions import Conditions
from voicediff.registry import build

TOKENS, FRAMES = 7, 5  # sizes that no other layer has: a layer that takes them projects conditions
CASES = {
    "ncsnpp": {
        "channels": 8,
        "multipliers": [1, 2],
        "blocks": 1,
        "attention": [],
        "cross_attention": [16, 8],
        "heads": 2,
        "head_size": 4,
    },
    "dit": {"channels": 16, "layers": 2, "heads": 2, "patch": [16, 1]},
}


def projections(module: nn.Module) -> list[nn.Module]:
    """The layers applied to conditions, e.g. keys and values of every cross-attention."""
    return [m for m in module.modules() if getattr(m, "in_features", 0) in (TOKENS, FRAMES)]


@pytest.mark.parametrize("name", sorted(CASES))
def test_keys_values_and_frame_projections_are_computed_once_for_all_steps(name):
    conditions = {"lips_tokens": ("tokens", TOKENS), "lips": ("frames", FRAMES)}
    spec = {"name": name, **CASES[name]}
    decoder = build("decoder", spec, channels_in=2, bins=16, conditions=conditions)
    model = Diffusion(
        decoder, build("sde", {"name": "ouve"}), build("objective", {"name": "data"})
    ).eval()
    mu, mask = torch.randn(2, 2, 16, 8), torch.ones(2, 8, dtype=torch.bool)
    cond = Conditions(
        frames={"lips": torch.randn(2, 8, FRAMES)},
        tokens={"lips_tokens": torch.randn(2, 4, TOKENS)},
    )
    asked, steps = Counter(), 5
    layers = projections(decoder)
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: asked.update([module]))
    decoder.register_forward_hook(lambda *_: asked.update(["decoder"]))
    sampler = build("sampler", {"name": "ddim", "steps": steps})
    model.sample(sampler, mu, cond, mask, SeededNoise([1, 2]))
    attentions = sum(layer.in_features == TOKENS for layer in layers)
    assert attentions >= 4 and attentions < len(layers)  # keys and values of two, and frames
    assert asked == {"decoder": steps, **dict.fromkeys(layers, 1)}
    asked.clear()
    term = GuidanceTerm(1.0, cond.without(["lips"]))
    model.sample(sampler, mu, cond, mask, SeededNoise([1, 2]), guidance=[term])
    assert asked == {"decoder": 2 * steps, **dict.fromkeys(layers, 2)}
