"""Gaussian data with closed-form solutions, to verify processes and samplers.

For x0 ~ N(mean, std^2) every marginal is Gaussian and E[x0 | x_t] is affine in x. Sampling with exact
estimates therefore measures the sampler's own error. No random numbers are needed: mean and variance
of the result follow from its response to the mean and to one unit impulse per noise sample (that of
the start included).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voicediff.diffusion.objectives import Estimate, from_data
from voicediff.diffusion.samplers import EstimateAt, Sampler
from voicediff.diffusion.sdes import SDE


@dataclass(frozen=True)
class GaussianData:
    """x0 ~ N(mean, std^2), one number, on paths around mu.

    >>> from voicediff.registry import build
    >>> sde, data = build("sde", {"name": "vp_mean"}), GaussianData(mean=1.0, std=0.5)
    >>> errors = [data.error(build("sampler", {"name": "heun", "steps": n}), sde) for n in (8, 16)]
    >>> errors[1] < errors[0]
    True
    """

    mean: float = 1.0
    std: float = 0.5
    mu: float = 0.0

    def marginal(self, sde: SDE, t: float) -> tuple[float, float]:
        """Mean and standard deviation of x_t."""
        at = torch.tensor([t], dtype=torch.float64)
        a, b, sigma = sde.a(at).item(), sde.b(at).item(), sde.sigma(at).item()
        return a * self.mean + b * self.mu, ((a * self.std) ** 2 + sigma**2) ** 0.5

    def estimate(self, sde: SDE) -> EstimateAt:
        """E[x0 | x_t] and the matching noise; x (B, 1)."""

        def exact(x: Tensor, t: Tensor) -> Estimate:
            a, b, sigma = (f(t.double())[:, None] for f in (sde.a, sde.b, sde.sigma))
            variance = (a * self.std).square() + sigma.square()
            pull = a * self.std**2 / variance.clamp(min=1e-30)
            data = self.mean + pull * (x - a * self.mean - b * self.mu)
            return from_data(data, sde, x, torch.full_like(x, self.mu), t)

        return exact

    def sampled(
        self,
        sampler: Sampler,
        sde: SDE,
        start: tuple[float, float] | None = None,
        t_start: float | None = None,
    ) -> tuple[float, float]:
        """Exact mean and standard deviation of the samples of a sampler that is affine in x.

        start: mean and standard deviation of x at t_start (default t_max), by default the true ones.
        """
        t_start = sde.t_max if t_start is None else t_start
        mean, std = self.marginal(sde, t_start) if start is None else start
        counter = _Impulses(0)
        self._run(sampler, sde, torch.tensor([[mean]]).double(), t_start, counter)
        samples = counter.calls
        x = torch.full((samples + 2, 1), mean, dtype=torch.float64)
        x[1] += std
        y = self._run(sampler, sde, x, t_start, _Impulses(2)).flatten()
        return y[0].item(), (y[1:] - y[0]).norm().item()

    def error(self, sampler: Sampler, sde: SDE, t_end: float = 0.0) -> float:
        """Wasserstein-2 distance of the sampler's result from x at t_end, in units of std."""
        result = self.sampled(sampler, sde)
        expected = (self.mean, self.std) if t_end == 0 else self.marginal(sde, t_end)
        return ((result[0] - expected[0]) ** 2 + (result[1] - expected[1]) ** 2) ** 0.5 / self.std

    def _run(
        self, sampler: Sampler, sde: SDE, x: Tensor, t_start: float, noise: _Impulses
    ) -> Tensor:
        mu = torch.full_like(x, self.mu)
        return sampler(self.estimate(sde), sde, mu, x=x, t_start=t_start, noise=noise)


class _Impulses:
    """A `Noise` whose k-th sample is 1 for item first + k, and 0 for all others."""

    def __init__(self, first: int):
        self.first, self.calls = first, 0

    def __call__(self, like: Tensor) -> Tensor:
        z = torch.zeros_like(like)
        if self.first:
            z[self.first + self.calls] = 1.0
        self.calls += 1
        return z
