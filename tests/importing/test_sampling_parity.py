"""Four steps of sampling with imported networks equal the reference's own loops, given its noise."""

from __future__ import annotations

import torch
from seeded import fixture

from voicediff.diffusion.model import Diffusion
from voicediff.importing import convert
from voicediff.networks.conditions import Conditions
from voicediff.registry import build


def diffusion(case, prefix):
    meta, weights, tensors = fixture(case)
    whole = {prefix + name: tensor for name, tensor in weights.items()}
    imported = convert(meta["source"], whole, meta["options"])
    (part,) = imported.parts
    decoder = build(part.kind, part.spec).eval()
    decoder.load_state_dict(part.state_dict, strict=True)
    process = build("sde", imported.sde)
    return Diffusion(decoder, process, build("objective", imported.objective)), tensors


def drawn(noises):
    """The stored noises, one after the other."""
    stream = iter(noises)
    return lambda like: next(stream)


def close(answer, reference):
    assert (answer - reference).abs().max() < 1e-4 * reference.abs().max()


@torch.no_grad()
def test_gradtts_ode_equals_the_reference():
    model, fix = diffusion("gradtts_ode", "decoder.estimator.")
    sampler = build("sampler", {"name": "euler", "steps": 4, "midtime": True})
    z, mu = fix["z"][:, None], fix["mu"][:, None]
    x0 = model.sample(sampler, mu, Conditions(), fix["mask"], drawn([]), x=z)
    close(x0[:, 0], fix["output"])


@torch.no_grad()
def test_sgmse_predictor_corrector_equals_the_reference():
    model, fix = diffusion("sgmse_pc", "dnn.")
    noises = 2**0.5 * fix["noises"][:, :, 0].movedim(-1, 2)  # complex normal: 1/2 per channel
    sampler = build("sampler", {"name": "predictor_corrector", "steps": 4, "snr": 0.5})
    y = fix["y"][:, 0].movedim(-1, 1).contiguous()
    mask = torch.ones(y.shape[0], y.shape[-1], dtype=torch.bool)
    x0 = model.sample(sampler, y, Conditions(), mask, drawn(noises))
    close(x0, fix["output"][:, 0].movedim(-1, 1))
