"""All parts run on a device without float64, with the accuracy of the CPU."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from apple_gpu import DEVICE, pretend

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.objectives import from_data
from voicediff.errors import ConfigError
from voicediff.registry import build, entries
from voicediff.tasks.base import Losses
from voicediff.training.meter import Meter

SDES, OBJECTIVES = sorted(entries("sde")), sorted(entries("objective"))
VOCODERS = {
    "griffin_lim": {"iterations": 2},
    "harmonic": {"chunk": 32},
    "vocos": {"channels": 8, "layers": 1, "corrections": 1},
    "vocos_source": {"channels": 8, "layers": 1, "chunk": 32},
    "hifigan": {"channels": 16},
}


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    with pretend(monkeypatch):
        yield


def test_the_device_rejects_float64_and_tensors_of_other_devices():
    x = torch.ones(3).to(DEVICE)
    assert x.device == DEVICE and torch.equal((2 * x).cpu(), torch.full((3,), 2.0))
    with pytest.raises(TypeError, match="float64"):
        x.double()
    with pytest.raises(TypeError, match="float64"):
        torch.zeros(3, dtype=torch.float64).to(DEVICE)
    with pytest.raises(TypeError, match="float64"):
        torch.arange(3, dtype=torch.float64, device=DEVICE)
    with pytest.raises(RuntimeError, match="same device"):
        x + torch.ones(3)


def on_both(compute, *inputs):
    """Results of the CPU and of the device, both on the CPU."""
    there = compute(*(x.to(DEVICE) for x in inputs))
    assert all(x.device == DEVICE for x in there)
    return zip(compute(*inputs), (x.cpu() for x in there), strict=True)


@pytest.mark.parametrize("sde_name", SDES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_on_every_path(name, sde_name):
    sde, objective = build("sde", {"name": sde_name}), build("objective", {"name": name})
    try:
        objective.require(sde)
    except ConfigError:
        pytest.skip("not a pair")

    def compute(x0, mu, noise, t):
        mean, std = sde.marginal(x0, mu, t)
        x = mean + std[:, None] * noise
        target = objective.target(sde, x0, mu, t, noise)
        found = objective.estimate(target, sde, x, mu, t)
        weight = build("objective", {"name": name, "weighting": "likelihood"}).weight(sde, t)
        seen = objective.inputs(sde, x, mu, t)
        drift, diffusion = sde.drift_diffusion(x, mu, t)
        return x, target, found.data, found.noise, weight, *seen, drift, diffusion

    draw = [torch.randn(3, 5, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    for cpu, device in on_both(compute, *draw, torch.tensor([0.1, 0.5, 0.9])):
        torch.testing.assert_close(device, cpu, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", sorted(entries("sampler")))
def test_samplers(name):
    sampler, sde = build("sampler", {"name": name}), build("sde", {"name": "bbed"})
    sampler = sampler if name == "rk45" else sampler.with_nfe(4)

    def compute(x):
        def estimate(x, t):
            return from_data(0.3 * x, sde, x, torch.zeros_like(x), t)

        noise = SeededNoise([1, 2])
        return [sampler(estimate, sde, torch.zeros_like(x), x=x, noise=noise)]

    for cpu, device in on_both(compute, SeededNoise([3, 4])(torch.zeros(2, 4, 6))):
        torch.testing.assert_close(device, cpu, rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(entries("times")))
def test_times(name):
    times, sde = build("times", {"name": name}), build("sde", {"name": "ddpm"})
    for cpu, device in on_both(
        lambda x: [times.sample(sde, SeededNoise([1, 2]), x)], torch.ones(2)
    ):
        assert torch.equal(device, cpu)


@pytest.mark.parametrize("name", VOCODERS)
def test_vocoders(name):
    torch.manual_seed(0)
    vocoder = build("vocoder", {"name": name, **VOCODERS[name]}, spec=MelSpec()).eval()
    mel = torch.randn(1, 80, 40) - 5
    f0 = 300 + 20 * torch.sin(torch.arange(40.0))[None]
    with torch.no_grad():
        cpu = vocoder(mel, f0, SeededNoise([1]))
        device = vocoder.to(DEVICE)(mel.to(DEVICE), f0.to(DEVICE), SeededNoise([1]))
    assert device.device == DEVICE and cpu.abs().max() > 1e-4
    torch.testing.assert_close(device.cpu(), cpu, rtol=0, atol=1e-5)


def test_sums_of_the_log_are_exact():
    sums = Meter(SimpleNamespace(device=DEVICE, reduce=lambda x, _: x, is_main_process=True))
    small = torch.tensor(1e-9).to(DEVICE)
    losses = Losses(small, {"part": small}, small[None], small[None])
    sums.add("target/loss", torch.ones((), device=DEVICE), 0)
    for _ in range(10):
        sums.add_losses("target", losses, 1)
    kept = sums.totals()
    sums.restore(kept)
    assert sums.totals() == kept
    assert math.isclose(sums.means()["target/loss"], 0.1 + 1e-9, rel_tol=1e-12)
