"""Diffusion on a two-dimensional toy distribution, a ring, with any process, objective and sampler.

    python docs/examples/ring.py                    # every process; writes ring.png
    python docs/examples/ring.py --sde flow --objective velocity --sampler heun --nfe 9

A point (x, y) has the shape of a spectrogram with two channels, one bin and one frame, so the model is the
same `Diffusion` that is used for singing and separation.
"""

from __future__ import annotations

import argparse
import itertools
import math

import torch
from torch import Tensor, nn

from voicediff.decoders import Decoder, Prepared
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import Noise
from voicediff.networks.conditions import Conditions
from voicediff.registry import build, entries

MEAN = (0.4, 0.2)  # mu: an estimate of the data, deliberately not the centre
#: options for a ring of radius 1 (the defaults of ouve are for spectra)
OPTIONS = {"ouve": {"sigma_min": 0.05, "sigma_max": 2.0}, "ve": {"sigma_max": 10.0}}
#: ouve does not reach mu: with a stochastic sampler the error decays
SAMPLERS = {"ouve": {"name": "dpm_solver", "stochastic": True}}


class PreparedMu(Prepared):
    def __init__(self, mu: Tensor):
        self.mu = mu


class PointNetwork(Decoder):
    """An MLP on the point, mu, and sines and cosines of t."""

    def __init__(self, width: int = 96):
        super().__init__()
        self.register_buffer("rates", math.pi * 2.0 ** torch.arange(5))
        sizes = [4 + 10, width, width, width, 2]
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        inner = [part for layer in layers[:-1] for part in (layer, nn.SiLU())]
        self.layers = nn.Sequential(*inner, layers[-1])

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedMu:
        return PreparedMu(mu)

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedMu) -> Tensor:
        waves = time_in[:, None] * self.rates
        inputs = [x_in.flatten(1), prepared.mu.flatten(1), waves.sin(), waves.cos()]
        return self.layers(torch.cat(inputs, 1)).reshape(x_in.shape)


def ring(size: int, generator: torch.Generator) -> Tensor:
    """Points (size, 2, 1, 1) around the unit circle."""
    angle = 2 * math.pi * torch.rand(size, generator=generator)
    radius = 1 + 0.05 * torch.randn(size, generator=generator)
    return (radius * torch.stack([angle.cos(), angle.sin()]))[..., None, None].transpose(0, 1)


def normal(generator: torch.Generator) -> Noise:
    """Noise from one generator; the recipes use `SeededNoise`."""
    return lambda like: torch.randn(like.shape, generator=generator)


def means(size: int) -> Tensor:
    return torch.tensor(MEAN).reshape(1, 2, 1, 1).expand(size, -1, -1, -1)


def train(sde: str, objective: str = "edm", steps: int = 1500, size: int = 256) -> Diffusion:
    """A diffusion model trained on the ring."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    task = build(
        "objective", {"name": objective, **({} if objective != "edm" else {"sigma_data": 0.8})}
    )
    process = build("sde", {"name": sde, **OPTIONS.get(sde, {})})
    diffusion = Diffusion(PointNetwork(), process, task)
    optimizer = torch.optim.Adam(diffusion.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    mu, mask = means(size), torch.ones(size, 1, dtype=torch.bool)
    for _ in range(steps):
        losses = diffusion.loss(ring(size, generator), mu, Conditions(), mask, normal(generator))
        optimizer.zero_grad()
        (losses.loss / losses.frames).backward()
        optimizer.step()
        schedule.step()
    return diffusion


def sample(diffusion: Diffusion, sampler: dict, nfe: int = 30, size: int = 1000) -> Tensor:
    """Points (size, 2) from the prior."""
    solver = build("sampler", sampler)
    solver = solver if solver.nfe is None else solver.with_nfe(nfe)
    generator, mask = torch.Generator().manual_seed(1), torch.ones(size, 1, dtype=torch.bool)
    points = diffusion.sample(solver, means(size), Conditions(), mask, normal(generator))
    return points.flatten(1)


def sampler_for(sde: str) -> dict:
    return SAMPLERS.get(sde, {"name": "dpm_solver"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sde", choices=sorted(entries("sde")), help="default: each of them")
    parser.add_argument("--objective", choices=sorted(entries("objective")), default="edm")
    parser.add_argument("--sampler", choices=sorted(entries("sampler")), help="default: dpm_solver")
    parser.add_argument("--nfe", type=int, default=30, help="number of network evaluations")
    parser.add_argument("--out", default="ring.png")
    args = parser.parse_args()
    clouds = {}
    for name in [args.sde] if args.sde else sorted(entries("sde")):
        sampler = {"name": args.sampler} if args.sampler else sampler_for(name)
        clouds[name] = sample(train(name, args.objective), sampler, args.nfe)
        radius = clouds[name].norm(dim=1)
        print(f"{name}: radius {radius.mean():.3f} +- {radius.std():.3f} (data 1.000 +- 0.050)")
    draw(clouds, args.out)


def draw(clouds: dict[str, Tensor], path: str) -> None:
    """The samples of each process, with mu as a cross."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(5, len(clouds))
    rows = -(-len(clouds) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.4 * columns, 2.5 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, points) in zip(axes.flat, clouds.items(), strict=False):
        axis.plot(*points.T, ".", markersize=1.5, color="#2c6fbb")
        axis.plot(*MEAN, "x", color="#c23b22")
        axis.set(title=name, xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
