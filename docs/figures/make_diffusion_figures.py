"""The figures of docs/diffusion.md: processes, orders, error against NFE, and the ring example.

python docs/figures/make_diffusion_figures.py [--out docs/figures]     # about two minutes on one core

All but the ring and the paths use closed-form solutions of Gaussian data (`voicediff.diffusion.gaussian`).
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import math
from pathlib import Path

import matplotlib
import numpy as np
import torch

from voicediff.diffusion.gaussian import GaussianData
from voicediff.diffusion.objectives import from_data
from voicediff.diffusion.sdes import SDE
from voicediff.registry import build, entries

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ORDERS = {
    "euler": {},
    "ancestral": {},
    "ddim": {},
    "euler_maruyama": {},
    "heun": {},
    "edm": {},
    "plms": {},
    "deis": {},
    "dpm_solver 2M": {"name": "dpm_solver"},
    "dpm_solver 3M": {"name": "dpm_solver", "order": 3},
    "dpm_solver 2M-SDE": {"name": "dpm_solver", "stochastic": True},
    "unipc": {},
    "predictor_corrector": {},
}
CALLS = (2, 3, 4, 6, 8, 10, 16, 20, 32, 50, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    paths(out / "paths.png")
    orders(out / "orders.png")
    calls(out / "calls.png")
    for name in ("ddpm", "vp_mean", "ve", "ouve"):
        there_and_back(name, out / f"path_{name}.png")
    learned_ring(out / "ring.png")


def grid_of_axes(count: int, columns: int, size: tuple[float, float], **options):
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, **options
    )
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return figure, axes.flat


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(path)


def paths(path: Path) -> None:
    """a, b, sigma of each process, and mean and std of x_t from x0 = 1 with mu = -1."""
    names = sorted(entries("sde"))
    figure, axes = grid_of_axes(2 * len(names), 4, (2.9, 2.1))
    for i, name in enumerate(names):
        sde = build("sde", {"name": name})
        t = torch.linspace(sde.t_min, sde.t_max, 300, dtype=torch.float64)
        a, b, sigma = (f(t).numpy() for f in (sde.a, sde.b, sde.sigma))
        large = sigma.max() > 5
        curves, spread = axes[2 * i], axes[2 * i + 1]
        curves.plot(t, a, label="a", color="#2c6fbb")
        curves.plot(t, b, label="b", color="#c23b22")
        curves.plot(t, sigma, label="$\\sigma$", color="#5a5a5a", ls="--")
        curves.set(title=name, xlabel="t")
        if large:
            curves.set_yscale("symlog", linthresh=1)
        draw_spread(spread, t.numpy(), a - b, sigma, large)
    axes[0].legend(fontsize=8)
    save(figure, path)


def draw_spread(axis: plt.Axes, t: np.ndarray, mean: np.ndarray, sigma: np.ndarray, large: bool):
    """Mean, and bands of one and two standard deviations, from x0 = 1 towards mu = -1 (or 0)."""
    for width in (2, 1):
        axis.fill_between(t, mean - width * sigma, mean + width * sigma, color="#2c6fbb", alpha=0.2)
    axis.plot(t, mean, color="#2c6fbb")
    axis.axhline(-1, color="#c23b22", lw=0.8, ls=":")
    axis.set(xlabel="t", title="$x_t$ from $x_0 = 1$")
    if large:
        axis.set_yscale("symlog", linthresh=1)


def error(data: GaussianData, sde: SDE, spec: dict, steps: int, close: str) -> float:
    sampler = build("sampler", {**spec, "steps": steps, "close": close})
    return data.error(sampler, sde, sde.t_min if close == "none" else 0.0)


def orders(path: Path) -> None:
    """Error of each sampler against its steps, on four processes, away from their ends."""
    names, steps = ("vp_mean", "ouve", "flow", "bridge"), (8, 16, 32, 64, 128)
    data = GaussianData(mean=1.0, std=0.5, mu=0.3)
    figure, axes = grid_of_axes(4, 2, (5.2, 3.9))
    for axis, name in zip(axes, names, strict=False):
        sde = build("sde", {"name": name, "t_min": 0.05, "t_max": 0.95})
        for style, (label, options) in enumerate(ORDERS.items()):
            spec = {"name": label, **options}
            errors = [error(data, sde, spec, n, "none") for n in steps]
            slope = math.log2(errors[-2] / errors[-1])
            line = ("-", "--", ":")[style // 5]
            axis.loglog(steps, errors, line, marker=".", label=f"{label} ({slope:.1f})")
        axis.set(title=name, xlabel="steps", ylabel="$W_2$ / std")
        axis.legend(fontsize=6, title="last slope", title_fontsize=6, ncols=2)
    save(figure, path)


def calls(path: Path) -> None:
    """Error against NFE from the practical prior, with each sampler's default closing step."""
    samplers = ("euler", "heun", "ddim", "ancestral", "dpm_solver", "unipc", "deis", "plms", "edm")
    cases = {"vp_mean": 0.1, "flow": 0.1, "ouve": 0.1, "bridge": 0.1}
    figure, axes = grid_of_axes(4, 2, (5.2, 3.6))
    for axis, (name, std) in zip(axes, cases.items(), strict=False):
        sde, data = build("sde", {"name": name}), GaussianData(mean=0.3, std=std)
        curves = {s: {"name": s} for s in samplers}
        curves["dpm_solver, stochastic"] = {"name": "dpm_solver", "stochastic": True}
        curves["predictor_corrector"] = {"name": "predictor_corrector"}
        for style, (label, spec) in enumerate(curves.items()):
            points = dict(from_prior(data, sde, spec, nfe) for nfe in CALLS)
            line = ("-", "--", ":")[style // 5]
            axis.loglog(points.keys(), points.values(), line, marker=".", label=label)
        axis.axhline(0.01, color="#999999", lw=0.6)
        axis.set(title=name, xlabel="NFE", ylabel="$W_2$ / std", ylim=(1e-3, 5))
    axes[0].legend(fontsize=6, ncols=2)
    save(figure, path)


def from_prior(data: GaussianData, sde: SDE, spec: dict, nfe: int) -> tuple[int, float]:
    """(NFE, error) from N(mean of the prior, sigma(t_max)^2), as in sampling, with mu = 0."""
    sampler = build("sampler", spec).with_nfe(nfe)
    sigma = sde.sigma(torch.tensor([sde.t_max], dtype=torch.float64)).item()
    mean, std = data.sampled(sampler, sde, start=(0.0, sigma))
    return sampler.nfe, math.hypot(mean - data.mean, std - data.std) / data.std


def there_and_back(name: str, path: Path) -> None:
    """Forward process from two clusters, and probability-flow ODE and reverse SDE; mu = 0.5."""
    sde, mu, size, steps = build("sde", {"name": name}), 0.5, 24, 400
    draw = torch.Generator().manual_seed(0)
    centres = torch.tensor([-1.0, 1.0]).repeat(size // 2)
    x0 = (centres + 0.1 * torch.randn(size, generator=draw)).double()[:, None]
    times = torch.linspace(sde.t_min, sde.t_max, steps + 1, dtype=torch.float64)
    panels = {"forward SDE": (times, forward(sde, x0, mu, times, draw))}
    for label, sampler in {
        "probability-flow ODE": {"name": "dpm_solver", "steps": 200, "close": "none"},
        "reverse SDE": {"name": "ancestral", "steps": 400, "close": "none"},
    }.items():
        panels[label] = back(sde, sampler, mu, size, draw)
    figure, axes = grid_of_axes(3, 3, (3.6, 2.6), sharey=True)
    for axis, (label, (t, x)) in zip(axes, panels.items(), strict=True):
        axis.plot(t, x[..., 0], color="#2c6fbb", lw=0.6, alpha=0.7)
        axis.set(title=f"{name}: {label}", xlabel="t")
        if x.abs().max() > 10:
            axis.set_yscale("symlog", linthresh=1)
    save(figure, path)


def forward(sde: SDE, x: torch.Tensor, mu: float, times: torch.Tensor, draw: torch.Generator):
    """Euler-Maruyama from x (B, 1) at the first time on: (times, B, 1)."""
    states = [x]
    for t, after in itertools.pairwise(times):
        drift, g = sde.drift_diffusion(states[-1], torch.full_like(x, mu), t.expand(len(x)))
        z = torch.randn(x.shape, generator=draw, dtype=x.dtype)
        states.append(states[-1] + (after - t) * drift + (after - t).sqrt() * g[:, None] * z)
    return torch.stack(states)


def back(sde: SDE, sampler: dict, mu: float, size: int, draw: torch.Generator):
    """Times and states of sampling with the exact estimate of two clusters at -1 and 1 (std 0.1)."""

    def estimate(x: torch.Tensor, t: torch.Tensor):
        a, b, sigma = (f(t.double())[:, None] for f in (sde.a, sde.b, sde.sigma))
        variance = (0.1 * a).square() + sigma.square()
        centres = torch.tensor([-1.0, 1.0], dtype=x.dtype)
        weight = torch.softmax(-(x - b * mu - a * centres).square() / (2 * variance), 1)
        posterior = centres + 0.01 * a / variance * (x - b * mu - a * centres)
        data = (weight * posterior).sum(1, keepdim=True)
        return from_data(data, sde, x, torch.full_like(x, mu), t)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=draw, dtype=like.dtype)

    means = torch.full((size, 1), mu, dtype=torch.float64)
    x = sde.prior(means, noise)
    states = [(sde.t_max, x)]
    build("sampler", sampler)(
        estimate, sde, means, x=x, noise=noise, callback=lambda p: states.append((p.t, p.x))
    )
    return [t for t, _ in states], torch.stack([x for _, x in states])


def learned_ring(path: Path) -> None:
    """The ring of docs/examples/ring.py with every process."""
    example = Path(__file__).parents[1] / "examples/ring.py"
    spec = importlib.util.spec_from_file_location("ring", example)
    ring = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ring)
    names = sorted(entries("sde"))
    clouds = {n: ring.sample(ring.train(n), ring.sampler_for(n)) for n in names}
    ring.draw(clouds, str(path))
    print(path)


if __name__ == "__main__":
    main()
