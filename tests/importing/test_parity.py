"""Imported networks equal the reference implementations, on seeded weights."""

from __future__ import annotations

import pytest
import torch
from seeded import fixture

from voicediff.importing import convert
from voicediff.importing.lips import part
from voicediff.networks.conditions import Conditions
from voicediff.registry import build


def close(answer, reference):
    assert (answer - reference).abs().max() < 1e-4 * reference.abs().max()


def only_part(case):
    meta, weights, tensors = fixture(case)
    imported = convert(meta["source"], weights, meta["options"])
    (part,) = imported.parts
    network = build(part.kind, part.spec).eval()
    network.load_state_dict(part.state_dict, strict=True)
    return network, tensors


def channels(z):
    """Complex (B, 1, F, T, 2) as two channels (B, 2, F, T)."""
    return z[:, 0].movedim(-1, 1).contiguous()


def everything(x):
    return torch.ones(x.shape[0], x.shape[-1], dtype=torch.bool)


@torch.no_grad()
@pytest.mark.parametrize("case", ["gradtts", "gradtts_speakers"])
def test_gradtts_equals_the_reference_also_where_padded(case):
    decoder, fix = only_part(case)
    x, mu = (fix[n][:, None] * fix["mask"][:, None, None] for n in ("x", "mu"))
    cond = Conditions(vector={"speaker": fix["spk"]} if "spk" in fix else {})
    close(decoder(x, fix["t"], mu, cond, fix["mask"])[:, 0], fix["output"])


@torch.no_grad()
@pytest.mark.parametrize("case", ["sgmse", "sgmse_v2", "sgmse_48k"])
def test_sgmse_equals_the_reference(case):
    decoder, fix = only_part(case)
    x, y = channels(fix["x"]), channels(fix["y"])
    answer = decoder(x, fix["t"], y, Conditions(), everything(x))
    close(answer, channels(fix["output"]))


@torch.no_grad()
def test_storm_score_network_equals_the_reference():
    decoder, fix = only_part("storm_score")
    x, y, d = (channels(fix[n]) for n in "xyd")
    answer = decoder(x, fix["t"], d, Conditions(maps={"mixture": y}), everything(x))
    close(answer, channels(fix["output"]))


@torch.no_grad()
def test_storm_predictor_equals_the_reference():
    predictor, fix = only_part("storm_denoiser")
    y = channels(fix["y"])
    close(predictor(y, Conditions(), everything(y)), channels(fix["output"]))


@torch.no_grad()
def test_avdiffuss_score_network_equals_the_reference():
    decoder, fix = only_part("avdiffuss_score")
    x, d, cond = channels(fix["x"]), channels(fix["d"]), Conditions(tokens={"lips": fix["lips"]})
    close(decoder(x, fix["t"], d, cond, everything(x)), channels(fix["output"]))


@torch.no_grad()
def test_avdiffuss_predictor_equals_the_reference():
    predictor, fix = only_part("avdiffuss_denoiser")
    x, cond = channels(fix["x"]), Conditions(tokens={"lips": fix["lips"]})
    close(predictor(x, cond, everything(x)), channels(fix["output"]))


@torch.no_grad()
def test_avdiffuss_video_encoder_equals_the_reference():
    _, weights, fix = fixture("avdiffuss_lips")
    lips = part("decoder.lips", weights, "avdiffuss")
    encoder = build(lips.kind, lips.spec).eval()
    encoder.load_state_dict(lips.state_dict, strict=True)
    video = fix["video"].repeat_interleave(14, -1).repeat_interleave(14, -2)
    mouth = (video / 255 - 0.421) / 0.165
    close(encoder(mouth, torch.ones(1, 5, dtype=torch.bool)), fix["output"])


@torch.no_grad()
@pytest.mark.parametrize(
    "case", ["wavenet", "lynxnet", "lynxnet_strong", "lynxnet2", "lynxnet2_cache"]
)
def test_diffsinger_backbones_equal_the_reference(case):
    decoder, fix = only_part(case)
    cond = Conditions(frames={"encoder": fix["cond"].mT})
    x = fix["x"]
    close(decoder(x, fix["step"] / 1000, x, cond, everything(x)), fix["output"])


@torch.no_grad()
@pytest.mark.parametrize("case", ["hifigan_v1", "hifigan_v3"])
def test_hifigan_equals_the_reference_with_weight_norms(case):
    vocoder, fix = only_part(case)
    close(vocoder(fix["mel"]), fix["output"][:, 0])
