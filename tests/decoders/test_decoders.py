"""The contract of decoders."""

from __future__ import annotations

import pytest
import torch

from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.networks.phases import product
from voicediff.registry import build

BINS = 20
#: small sizes of each decoder, and the kinds of condition it supports
SMALL = {
    "unet": ({"channels": 16, "multipliers": [1, 2]}, ("maps", "frames", "vector")),
    "unet patched": (
        {
            "name": "unet",
            "channels": 16,
            "multipliers": [1, 2],
            "patch": [2, 2],
            "frequency_planes": 2,
        },
        ("maps", "frames", "vector"),
    ),
    "unet speaker map": (
        {
            "name": "unet",
            "channels": 16,
            "multipliers": [1, 2],
            "vector_as": "map",
            "use_mu": False,
        },
        ("maps", "frames", "vector"),
    ),
    "ncsnpp": (
        {"channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": [20]},
        ("maps", "frames", "vector"),
    ),
    "ncsnpp crossing": (
        {
            "name": "ncsnpp",
            "channels": 8,
            "multipliers": [1, 2, 1],
            "blocks": 1,
            "attention": [],
            "cross_attention": [10],
            "heads": 2,
            "head_size": 4,
            "pyramid": False,
            "divide": "after",
            "centred": False,
        },
        ("maps", "frames", "tokens", "vector"),
    ),
    "wavenet": ({"layers": 3, "channels": 12, "dilation_cycle": 2}, ("maps", "frames", "vector")),
    "lynxnet": ({"layers": 2, "channels": 12, "kernel": 7}, ("maps", "frames", "vector")),
    "lynxnet strong": (
        {"name": "lynxnet", "layers": 2, "channels": 12, "strong_condition": True, "kernel": 5},
        ("maps", "frames", "vector"),
    ),
    "lynxnet2": (
        {"layers": 2, "channels": 12, "gate": "atanglu", "reversed_time": True},
        ("maps", "frames", "vector"),
    ),
    "patch_unet": (
        {"channels": [8, 12], "patch": [2, 2], "full_band": [2], "recurrent": 6},
        ("maps", "frames", "vector"),
    ),
    "dit": (
        {"channels": 16, "layers": 2, "heads": 2},
        ("maps", "frames", "tokens", "vector"),
    ),
    "dit patched": (
        {"name": "dit", "channels": 16, "layers": 2, "heads": 2, "patch": [8, 3]},
        ("maps", "frames", "tokens", "vector"),
    ),
}
SIZES = {"maps": 2, "frames": 5, "tokens": 6, "vector": 3}

each = pytest.mark.parametrize("case", SMALL)


def made(case, channels=1, kinds=None, seed=0, **options):
    sizes, supported = SMALL[case]
    kinds = supported if kinds is None else kinds
    conditions = {f"some {kind}": (kind, SIZES[kind]) for kind in kinds}
    torch.manual_seed(seed)
    spec = {"name": case, **sizes, **options}
    decoder = build("decoder", spec, channels_in=channels, bins=BINS, conditions=conditions)
    with torch.no_grad():  # layers initialised at zero would hide the effect under test
        for parameter in decoder.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
    return decoder.eval()


def inputs(batch=2, frames=24, channels=1, seed=1, kinds=SIZES):
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(batch, *shape, generator=g)

    shapes = {
        "maps": (2, BINS, frames),
        "frames": (frames, 5),
        "tokens": (7, 6),
        "vector": (3,),
    }
    cond = Conditions(**{k: {f"some {k}": draw(*shapes[k])} for k in SIZES})
    x, mu = draw(channels, BINS, frames), draw(channels, BINS, frames)
    return x, torch.rand(batch, generator=g), mu, cond


def item(i, x, t, mu, cond):
    return x[i : i + 1], t[i : i + 1], mu[i : i + 1], cond.map(lambda c: c[i : i + 1])


def close(a, b, tolerance=2e-5):
    error = float((a - b).abs().max() / b.abs().max())
    assert error < tolerance, error


@each
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 13, 24])
def test_output_has_the_shape_of_x_at_any_length(case, channels, frames):
    decoder = made(case, channels)
    x, t, mu, cond = inputs(3, frames, channels)
    answer = decoder(x, t, mu, cond, torch.ones(3, frames, dtype=torch.bool))
    assert answer.shape == x.shape and answer.isfinite().all() and answer.std() > 0


@each
def test_gradient_reaches_every_parameter(case):
    decoder = made(case).train()
    x, t, mu, cond = inputs(frames=17)
    mask = length_mask(torch.tensor([17, 12]))
    decoder(x, t, mu, cond, mask).square().mean().backward()
    trained = [(n, p) for n, p in decoder.named_parameters() if p.requires_grad]
    without = [n for n, p in trained if p.grad is None or not p.grad.any()]
    assert not without


@each
@pytest.mark.parametrize("frames", [13, 16])
def test_padding_does_not_change_valid_frames(case, frames):
    decoder = made(case)
    x, t, mu, cond = inputs(1, 40)
    with torch.no_grad():
        alone = decoder(
            x[..., :frames],
            t,
            mu[..., :frames],
            cond.crop(0, frames),
            torch.ones(1, frames, dtype=torch.bool),
        )
        padded = decoder(x, t, mu, cond, length_mask(torch.tensor([frames]), 40))
    close(padded[..., :frames], alone)
    assert not padded[..., frames:].any()


@each
def test_batches_of_one_two_and_three_agree(case):
    decoder = made(case)
    all_inputs = inputs(3, 20)
    mask = length_mask(torch.tensor([20, 11, 16]))
    with torch.no_grad():
        three = decoder(*all_inputs, mask)
        x, t, mu, cond = all_inputs
        two = decoder(x[:2], t[:2], mu[:2], cond.map(lambda c: c[:2]), mask[:2])
        close(two, three[:2])
        for i in range(3):
            close(decoder(*item(i, *all_inputs), mask[i : i + 1]), three[i : i + 1])


@each
def test_an_item_without_valid_frames_gives_zeros(case):
    decoder = made(case)
    all_inputs = inputs(2, 20)
    mask = length_mask(torch.tensor([20, 0]), 20)
    with torch.no_grad():
        answer = decoder(*all_inputs, mask)
        close(answer[:1], decoder(*item(0, *all_inputs), mask[:1]))
    assert torch.equal(answer[1], torch.zeros_like(answer[1]))


@each
def test_every_condition_has_an_effect(case):
    decoder = made(case)
    x, t, mu, cond = inputs(1, 16)
    mask = torch.ones(1, 16, dtype=torch.bool)
    with torch.no_grad():
        full = decoder(x, t, mu, cond, mask)
        for kind in SMALL[case][1]:
            dropped = decoder(x, t, mu, cond.without([f"some {kind}"]), mask)
            assert (dropped - full).abs().max() > 1e-4, kind
        assert (decoder(x, 1 - t, mu, cond, mask) - full).abs().max() > 1e-4


@each
def test_prepared_conditions_give_the_same_output(case):
    decoder = made(case)
    x, t, mu, cond = inputs(2, 21)
    mask = length_mask(torch.tensor([21, 9]))
    with torch.no_grad():
        prepared = decoder.prepare(mu, cond, mask)
        for time in (t, 1 - t):
            again = decoder(x, time, mu, prepared, mask)
            assert torch.equal(again, decoder(x, time, mu, cond, mask))


@each
def test_bf16_inside_stays_near_float32(case):
    decoder = made(case)
    x, t, mu, cond = inputs(2, 21)
    mask = length_mask(torch.tensor([21, 9]))
    with torch.no_grad():
        exact = decoder(x, t, mu, cond, mask)
        with torch.autocast("cpu", torch.bfloat16):
            rough = decoder(x, t, mu, cond, mask)
    assert (rough - exact).square().mean() < 0.05**2 * exact.square().mean()


@each
def test_state_dict_round_trip(case):
    first, second = made(case), made(case, seed=5)
    second.load_state_dict(first.state_dict(), strict=True)
    x, t, mu, cond = inputs()
    mask = torch.ones(2, 24, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(first(x, t, mu, cond, mask), second(x, t, mu, cond, mask))


@each
def test_unconditional_decoder_builds_and_runs(case):
    kinds = {"tokens"} & set(SMALL[case][1])  # an architecture with cross-attention needs them
    decoder = made(case, kinds=kinds)
    x, t, mu, cond = inputs()
    cond = Conditions(tokens=cond.tokens)
    with torch.no_grad():
        assert decoder(x, t, mu, cond, torch.ones(2, 24, dtype=torch.bool)).std() > 0


@each
def test_unsupported_condition_is_named(case):
    missing = set(SIZES) - set(SMALL[case][1])
    for kind in missing:
        with pytest.raises(ConfigError, match=f"{kind}.*(it supports|cross_attention)"):
            made(case, kinds=(kind,))


def test_masks_are_equivariant_to_a_common_phase():
    """The output for rotated spectra is the rotated output."""
    conditions = {"mixture": ("maps", 2), "lips": ("frames", 5)}
    spec = {"name": "patch_mask", "channels": [8, 12], "full_band": [2], "recurrent": 6}
    torch.manual_seed(0)
    decoder = build("decoder", spec, channels_in=2, bins=BINS, conditions=conditions)
    x, mu, mixture = torch.randn(3, 2, 2, BINS, 12)
    lips, mask = torch.randn(2, 12, 5), torch.ones(2, 12, dtype=torch.bool)
    rotation = torch.tensor([0.6, 0.8])[None, :, None, None].expand_as(x)  # of size 1

    def answer(rotated: bool) -> torch.Tensor:
        a, b, c = (product(z, rotation) if rotated else z for z in (x, mu, mixture))
        cond = Conditions(frames={"lips": lips}, maps={"mixture": c})
        return decoder(a, torch.tensor([0.3, 0.8]), b, cond, mask)

    still = answer(False)
    assert still.std() > 1e-3
    torch.testing.assert_close(answer(True), product(still, rotation), rtol=1e-4, atol=1e-5)


def test_masks_are_for_complex_spectra_only():
    with pytest.raises(ConfigError, match="two channels"):
        build("decoder", {"name": "patch_mask"}, channels_in=1, bins=BINS, conditions={})
