"""The contract of predictors."""

from __future__ import annotations

import pytest
import torch

from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.registry import build

BINS = 20
SIZES = {"map": ("maps", 2), "lips": ("frames", 5), "face": ("vector", 3), "words": ("tokens", 6)}
SMALL = {
    "ncsnpp": {"channels": 8, "multipliers": [1, 2], "cross_attention": [10], "heads": 2},
    "ncsnpp no positions": {
        "name": "ncsnpp",
        "channels": 8,
        "multipliers": [1, 2],
        "cross_attention": [20, 10],
        "heads": 2,
        "positions": False,
    },
    "tfgrid": {"channels": 8, "layers": 2, "hidden": 6, "heads": 2, "compress": [2, 3]},
    "tfgrid shared": {
        "name": "tfgrid",
        "channels": 8,
        "layers": 3,
        "shared": True,
        "hidden": 6,
        "kernel": 3,
        "stride": 1,
        "heads": 2,
        "output": "map",
    },
}
#: the kinds of condition that are not supported
WITHOUT = {"tfgrid": {"words"}, "tfgrid shared": {"words"}}
each = pytest.mark.parametrize("name", SMALL)


def made(name, seed=0):
    torch.manual_seed(seed)
    spec = {"name": name, **SMALL[name]}
    sizes = {n: size for n, size in SIZES.items() if n not in WITHOUT.get(name, ())}
    predictor = build("predictor", spec, channels_in=2, bins=BINS, conditions=sizes)
    with torch.no_grad():  # layers initialised at zero would hide the effect under test
        for parameter in predictor.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
    return predictor.eval()


def inputs(batch, frames):
    g = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(batch, *shape, generator=g)

    cond = Conditions(
        maps={"map": draw(2, BINS, frames)},
        frames={"lips": draw(frames, 5)},
        tokens={"words": draw(7, 6)},
        vector={"face": draw(3)},
    )
    return draw(2, BINS, frames), cond


@each
@pytest.mark.parametrize("frames", [1, 13, 16])
def test_estimate_has_the_shape_of_the_mixture(name, frames):
    y, cond = inputs(2, frames)
    estimate = made(name)(y, cond, torch.ones(2, frames, dtype=torch.bool))
    assert estimate.shape == y.shape and estimate.isfinite().all() and estimate.std() > 0


@each
def test_padding_and_other_items_do_not_change_an_estimate(name):
    y, cond = inputs(3, 24)
    predictor = made(name)
    lengths = torch.tensor([24, 13, 9])
    with torch.no_grad():
        together = predictor(y, cond, length_mask(lengths, 24))
        for i, n in enumerate(lengths.tolist()):
            one = cond.map(lambda c, i=i: c[i : i + 1]).crop(0, n)
            alone = predictor(y[i : i + 1, ..., :n], one, torch.ones(1, n, dtype=torch.bool))
            assert (together[i : i + 1, ..., :n] - alone).abs().max() < 2e-5 * alone.abs().max()
            assert not together[i, ..., n:].any()


@each
def test_every_condition_and_parameter_has_an_effect(name):
    y, cond = inputs(2, 16)
    mask = torch.ones(2, 16, dtype=torch.bool)
    predictor = made(name)
    full = predictor(y, cond, mask)
    for condition in set(SIZES) - WITHOUT.get(name, set()):
        assert (predictor(y, cond.without([condition]), mask) - full).abs().max() > 1e-4, condition
    full.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in predictor.parameters())


@each
def test_state_dict_round_trip_of_a_predictor(name):
    first, second = made(name), made(name, seed=5)
    second.load_state_dict(first.state_dict(), strict=True)
    y, cond = inputs(1, 16)
    mask = torch.ones(1, 16, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(first(y, cond, mask), second(y, cond, mask))
