"""Diffusion processes.

Each is a Gaussian path around a mean mu, with t = 0 at the data and t = 1 at the noise:

    q(x_t | x0, mu) = N(a(t) x0 + b(t) mu, sigma(t)^2 I)

so a process is defined by three functions of t. Everything else that solvers need is derived from
them: a new process with `a`, `b` and `sigma` works with every sampler. Define `linear` (the
published forward SDE) too where a closed form is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.noise import Noise
from voicediff.errors import ConfigError
from voicediff.networks.layers import per_item
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import register


class SDE(ABC):
    """A diffusion process without learned parameters; t is (B,), all functions of t return (B,).

    Attributes:
        t_min, t_max: the range of t that is used, 0 <= t_min < t_max <= 1.
        centred: whether the mean moves towards mu (b is not 0).
    """

    centred: bool = False

    def __init__(self, t_min: float, t_max: float):
        if not 0 <= t_min < t_max <= 1:
            raise ConfigError(f"sde: requires 0 <= t_min < t_max <= 1, found {t_min} and {t_max}")
        self.t_min, self.t_max = t_min, t_max

    @abstractmethod
    def a(self, t: Tensor) -> Tensor:
        """Coefficient of the data x0."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise."""

    def b(self, t: Tensor) -> Tensor:
        """Coefficient of mu."""
        return torch.zeros_like(t)

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(a', b', sigma') by automatic differentiation of the closed forms, in float64."""
        return tuple(_derivative(function, t) for function in (self.a, self.b, self.sigma))

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(f, h, g) of the forward SDE dx = (f x + h mu) dt + g dw.

        f = a'/a,   h = b' - f b,   g^2 = 2 sigma sigma' - 2 f sigma^2
        """
        a, b, sigma = self.a(t), self.b(t), self.sigma(t)
        da, db, dsigma = self.derivatives(t)
        f = da / a
        return f, db - f * b, (2 * sigma * (dsigma - f * sigma)).clamp(min=0).sqrt()

    def drift_diffusion(self, x: Tensor, mu: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The forward SDE at x: drift like x, diffusion g (B,)."""
        f, h, g = self.linear(t)
        return per_item(f, x) * x + per_item(h, x) * mu, g

    def log_snr(self, t: Tensor) -> Tensor:
        """lambda = log(a / sigma), the time variable of exponential integrators; decreases with t."""
        return self.a(t).log() - self.sigma(t).log()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """Inverse of `log_snr` on [t_min, t_max] by bisection in float64."""
        target = widened(log_snr)
        low, high = torch.full_like(target, self.t_min), torch.full_like(target, self.t_max)
        for _ in range(60):
            middle = (low + high) / 2
            later = self.log_snr(middle) > target
            low, high = torch.where(later, middle, low), torch.where(later, high, middle)
        return narrowed((low + high) / 2, log_snr)

    def marginal(self, x0: Tensor, mu: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (like x0) and standard deviation (B,) of x_t."""
        return per_item(self.a(t), x0) * x0 + per_item(self.b(t), x0) * mu, self.sigma(t)

    def prior(
        self, mu: Tensor, noise: Noise, noise_scale: float = 1.0, t_start: float | None = None
    ) -> Tensor:
        """A sample of x at t_max, with mu (centred processes) or 0 in place of the data.

        noise_scale: standard deviation of the noise in units of sigma.
        t_start: x at this time instead (shallow start), always with mu in place of the data.
        """
        t = mu.new_full(mu.shape[:1], self.t_max if t_start is None else t_start)
        known = self.centred or t_start is not None
        start = self.a(t) + self.b(t) if known else torch.zeros_like(t)
        return per_item(start, mu) * mu + noise_scale * per_item(self.sigma(t), mu) * noise(mu)


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        at = widened(t.detach().clone()).requires_grad_()
        value = function(at)
        if not value.requires_grad:  # constant in t
            return torch.zeros_like(t)
        return narrowed(torch.autograd.grad(value.sum(), at)[0], t)


class _LinearBeta(SDE):
    """Processes with the linear schedule beta = beta_min + (beta_max - beta_min) t of integral B."""

    def __init__(
        self,
        beta_min: float,
        beta_max: float,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(t_min, t_max)
        self.beta_min, self.beta_max = beta_min, beta_max

    def beta(self, t: Tensor) -> Tensor:
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Tensor) -> Tensor:
        return self.beta_min * t + (self.beta_max - self.beta_min) * t.square() / 2

    def a(self, t: Tensor) -> Tensor:
        return torch.exp(-self.integral(t) / 2)


@register("sde", "vp_mean")
class VPMean(_LinearBeta):
    """Variance preserving towards N(mu, I): the process of Grad-TTS (Popov et al. 2021, Eq. 5 and 8).

    a = exp(-B/2), b = 1 - a, sigma^2 = 1 - exp(-B); dx = beta (mu - x)/2 dt + sqrt(beta) dw.
    Recommended where an encoder gives an estimate mu of the data.

    >>> import torch
    >>> sde, t = VPMean(), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    >>> [[round(v, 3) for v in f(t).tolist()] for f in (sde.a, sde.b, sde.sigma)]
    [[1.0, 0.284, 0.007], [0.0, 0.716, 0.993], [0.0, 0.959, 1.0]]
    """

    centred = True

    def __init__(
        self,
        beta_min: float = 0.05,
        beta_max: float = 20.0,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(beta_min, beta_max, t_min, t_max)

    def b(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.integral(t) / 2)

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self.integral(t))).sqrt()

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        beta = self.beta(t)
        return -beta / 2, beta / 2, beta.sqrt()


@register("sde", "vp")
class VP(_LinearBeta):
    """Variance preserving towards N(0, I): continuous-time DDPM (Song et al. 2021, Eq. 11).

    a = exp(-B/2), sigma^2 = 1 - exp(-B); dx = -beta x/2 dt + sqrt(beta) dw.
    Recommended where there is no estimate mu of the data.
    """

    def __init__(
        self,
        beta_min: float = 0.1,
        beta_max: float = 20.0,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(beta_min, beta_max, t_min, t_max)

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self.integral(t))).sqrt()

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        beta = self.beta(t)
        return -beta / 2, torch.zeros_like(t), beta.sqrt()


@register("sde", "subvp")
class SubVP(_LinearBeta):
    """Sub-VP: variance bounded by that of `vp` at every t (Song et al. 2021, Eq. 15 and 29).

    a = exp(-B/2), sigma = 1 - exp(-B); dx = -beta x/2 dt + sqrt(beta (1 - exp(-2B))) dw.
    Its sigma is linear in t near 0, so solvers are more accurate there than on `vp`.
    """

    def __init__(
        self,
        beta_min: float = 0.1,
        beta_max: float = 20.0,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(beta_min, beta_max, t_min, t_max)

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.integral(t))

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        beta = self.beta(t)
        g = (-beta * torch.expm1(-2 * self.integral(t))).sqrt()
        return -beta / 2, torch.zeros_like(t), g


@register("sde", "ddpm")
class DDPM(SDE):
    """The discrete Markov chain of DDPM, continued in t (Ho et al. 2020; Nichol and Dhariwal 2021).

    a(n / steps) = sqrt(prod_{i <= n} (1 - beta_i)) and sigma^2 = 1 - a^2. Between the steps log a is
    interpolated by monotone cubics, so that a' is continuous. Step n of the papers (from 0) is
    t = (n + 1) / steps. Recommended for weights of DiffSinger and other discrete-time models; for
    many steps it converges to `vp`.

    schedule: `linear`, betas from beta_min to beta_max; `cosine`, squared-cosine a^2 (offset 0.008,
        betas at most 0.999), where beta_min and beta_max have no effect.
    """

    def __init__(
        self,
        steps: int = 1000,
        schedule: Literal["linear", "cosine"] = "linear",
        beta_min: float = 1e-4,
        beta_max: float = 0.02,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(t_min, t_max)
        self.steps = steps
        if schedule == "linear":
            betas = torch.linspace(beta_min, beta_max, steps, dtype=torch.float64)
        else:
            betas = _cosine_betas(steps)
        self.log_a = torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0) / 2])
        self._cubics = _monotone_cubics(self.log_a)

    def a(self, t: Tensor) -> Tensor:
        return narrowed(self._log_a(t).exp(), t)

    def sigma(self, t: Tensor) -> Tensor:
        return narrowed((-torch.expm1(2 * self._log_a(t))).sqrt(), t)

    def _log_a(self, t: Tensor) -> Tensor:
        """In float64, see `widened`."""
        place = widened(t) * self.steps
        step = place.detach().long().clamp(0, self.steps - 1)
        c3, c2, c1, c0 = self._cubics.to(place.device)[:, step]
        past = place - step
        return ((c3 * past + c2) * past + c1) * past + c0


def _monotone_cubics(y: Tensor) -> Tensor:
    """Coefficients (4, N), highest power first, of cubics through monotone y (N + 1,) at 0 ... N.

    Slopes of Fritsch and Butland (1984), one-sided at the ends, as in scipy's PchipInterpolator.
    """
    rise = y.diff()
    left, right = rise[:-1], rise[1:]
    inner = torch.where(left * right > 0, 2 * left * right / (left + right), 0.0)
    slope = torch.cat([_end_slope(rise[:2]), inner, _end_slope(rise.flip(0)[:2])])
    start, end = slope[:-1], slope[1:]
    return torch.stack([start + end - 2 * rise, 3 * rise - 2 * start - end, start, y[:-1]])


def _end_slope(rise: Tensor) -> Tensor:
    slope = 1.5 * rise[:1] - 0.5 * rise[-1:]
    return torch.where(slope * rise[:1] > 0, slope, 0.0)


def _cosine_betas(steps: int, offset: float = 0.008) -> Tensor:
    angles = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + offset) / (1 + offset)
    kept = torch.cos(angles * math.pi / 2).square()
    return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


@register("sde", "ve")
class VE(SDE):
    """Variance exploding, with its exact transition kernel (Song et al. 2021, Eq. 9).

    a = 1, sigma^2 = sigma_min^2 ((sigma_max / sigma_min)^{2t} - 1); dx = sigma_min (sigma_max / sigma_min)^t
    sqrt(2 log(sigma_max / sigma_min)) dw. sigma_max must be much larger than the standard deviation
    of the data. The process of NCSN++; use it with the objective option `input: unit`.
    """

    def __init__(
        self,
        sigma_min: float = 0.01,
        sigma_max: float = 50.0,
        t_min: float = 1e-3,
        t_max: float = 1.0,
    ):
        super().__init__(t_min, t_max)
        self.sigma_min, self.log_ratio = sigma_min, math.log(sigma_max / sigma_min)

    def a(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.expm1(2 * self.log_ratio * t).sqrt()

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        g = self.sigma_min * torch.exp(self.log_ratio * t) * math.sqrt(2 * self.log_ratio)
        return torch.zeros_like(t), torch.zeros_like(t), g


@register("sde", "ouve")
class OUVE(SDE):
    """OUVE: Ornstein-Uhlenbeck towards mu, exploding variance; SGMSE+ (Richter et al. 2023, Eq. 8-10).

    a = exp(-theta t), b = 1 - a, sigma^2 = sigma_min^2 e^{-2 theta t} (e^{2 (theta + L) t} - 1) L / (theta + L),
    L = log(sigma_max / sigma_min); dx = theta (mu - x) dt + sigma_min e^{L t} sqrt(2 L) dw.
    a(1) is 0.22, so the prior mean mu is not exact at t_max: use a stochastic sampler, with which
    this error decays. sigma is that of each of two real channels; the papers give that of one
    complex number, which is sqrt 2 larger.
    """

    centred = True

    def __init__(
        self,
        theta: float = 1.5,
        sigma_min: float = 0.05 / math.sqrt(2),
        sigma_max: float = 0.5 / math.sqrt(2),
        t_min: float = 0.03,
        t_max: float = 1.0,
    ):
        super().__init__(t_min, t_max)
        self.theta, self.sigma_min = theta, sigma_min
        self.log_ratio = math.log(sigma_max / sigma_min)

    def a(self, t: Tensor) -> Tensor:
        return torch.exp(-self.theta * t)

    def b(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.theta * t)

    def sigma(self, t: Tensor) -> Tensor:
        total = self.theta + self.log_ratio
        grown = torch.exp(-2 * self.theta * t) * torch.expm1(2 * total * t)
        return self.sigma_min * (grown * self.log_ratio / total).sqrt()

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rate = torch.full_like(t, self.theta)
        g = self.sigma_min * torch.exp(self.log_ratio * t) * math.sqrt(2 * self.log_ratio)
        return -rate, rate, g


@register("sde", "bbed")
class BBED(SDE):
    """Brownian bridge with exponential diffusion (Lay et al. 2023, Eq. 13-16).

    a = 1 - t, b = t, sigma^2 = c (1 - t)^2 int_0^t k^{2s} / (1 - s)^2 ds, in closed form with exponential
    integrals; dx = (mu - x)/(1 - t) dt + sqrt(c) k^t dw. Unlike `ouve` its mean reaches mu at t = 1.
    """

    centred = True

    def __init__(self, k: float = 2.6, c: float = 0.52, t_min: float = 1e-3, t_max: float = 0.999):
        super().__init__(t_min, t_max)
        if t_max >= 1:
            raise ConfigError(
                f"sde.t_max: the drift of bbed is infinite at 1, found {t_max}; use 0.999"
            )
        self.k, self.c = k, c

    def a(self, t: Tensor) -> Tensor:
        return 1 - t

    def b(self, t: Tensor) -> Tensor:
        return t

    def sigma(self, t: Tensor) -> Tensor:
        s, rest, rate = widened(t), 1 - widened(t), math.log(self.k)
        grown = torch.expm1(2 * rate * s) + s
        grown = grown + 2 * self.k**2 * rate * rest * _expi_difference(-2 * rate, s)
        return narrowed((self.c * rest * grown).sqrt(), t)

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rate = 1 / (1 - t)
        return -rate, rate, math.sqrt(self.c) * self.k**t

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sigma, (f, _, g) = (
            self.sigma(t),
            self.linear(t),
        )  # automatic differentiation of sigma is slow
        return -torch.ones_like(t), torch.ones_like(t), f * sigma + g.square() / (2 * sigma)


def _expi_difference(z: float, t: Tensor) -> Tensor:
    """Ei(z (1 - t)) - Ei(z) by the series Ei(z) = gamma + log|z| + sum z^n / (n n!)."""
    n = torch.arange(1, 30 + math.ceil(4 * abs(z)), dtype=torch.float64, device=t.device)
    terms = torch.cumprod(z / n, 0) / n
    return torch.log1p(-t) + (terms * ((1 - t)[..., None] ** n - 1)).sum(-1)


@register("sde", "edm")
class EDMPath(SDE):
    """EDM: a = 1, with the sigma steps of EDM as time variable (Karras et al. 2022, Eq. 5).

    sigma = (sigma_min^{1/rho} + t (sigma_max^{1/rho} - sigma_min^{1/rho}))^rho; dx = sqrt(2 sigma sigma') dw.
    Its `uniform` grid equals the grid `karras`. Use it with the `edm` objective and sampler.
    """

    def __init__(
        self,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        t_min: float = 0.0,
        t_max: float = 1.0,
    ):
        super().__init__(t_min, t_max)
        self.low, self.high, self.rho = sigma_min ** (1 / rho), sigma_max ** (1 / rho), rho

    def a(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return (self.low + t * (self.high - self.low)) ** self.rho

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        root, slope = self.low + t * (self.high - self.low), self.high - self.low
        g = (2 * self.rho * slope * root ** (2 * self.rho - 1)).sqrt()
        return torch.zeros_like(t), torch.zeros_like(t), g


@register("sde", "flow")
class Flow(SDE):
    """Flow matching with optimal-transport paths (Lipman et al. 2023, Eq. 20; from mu: Mehta et al. 2024).

    a = 1 - t, b = t with `from_mu` (else 0), sigma = t + sigma_min (1 - t). The conditional paths are
    straight: with the `velocity` objective few sampling steps are accurate.

    t_max: 1 is allowed with objectives that do not divide by a.
    """

    def __init__(
        self,
        sigma_min: float = 1e-4,
        from_mu: bool = True,
        t_min: float = 1e-3,
        t_max: float = 0.999,
    ):
        super().__init__(t_min, t_max)
        self.sigma_min, self.centred = sigma_min, from_mu

    def a(self, t: Tensor) -> Tensor:
        return 1 - t

    def b(self, t: Tensor) -> Tensor:
        return t if self.centred else torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return t + self.sigma_min * (1 - t)

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rate = 1 / (1 - t)
        h = rate if self.centred else torch.zeros_like(t)
        return -rate, h, (2 * self.sigma(t) * rate).sqrt()


@register("sde", "bridge")
class Bridge(SDE):
    """Schroedinger bridge between x0 at 0 and mu at 1 (Chen et al. 2023; Jukic et al. 2024, Table 1).

    a = alpha sbar^2 / s1^2, b = (alpha / alpha1) s^2 / s1^2, sigma = alpha sbar s / s1, with sbar^2 = s1^2 - s^2,
    s1 = s(1). sigma is 0 at both ends. Started at t_max < 1 from a noisy mu the ODE generates
    samples; started at t = 1 from mu itself it is a deterministic regression.

    schedule: `ve`, alpha = 1 and s^2 = c (k^{2t} - 1)/(2 log k), c 0.4 by default; `vp`,
        alpha = exp(-B/2) and s^2 = c (e^B - 1), c 0.3 by default.
    """

    centred = True

    def __init__(
        self,
        schedule: Literal["ve", "vp"] = "ve",
        k: float = 2.6,
        c: float | None = None,
        beta_min: float = 0.01,
        beta_max: float = 20.0,
        t_min: float = 1e-3,
        t_max: float = 0.999,
    ):
        super().__init__(t_min, t_max)
        self.schedule, self.log_k = schedule, math.log(k)
        self.c = {"ve": 0.4, "vp": 0.3}[schedule] if c is None else c
        self.beta_min, self.beta_max = beta_min, beta_max

    def alpha(self, t: Tensor) -> Tensor:
        if self.schedule == "ve":
            return torch.ones_like(t)
        return torch.exp(-self._exponent(t) / 2)

    def s2(self, t: Tensor) -> Tensor:
        """s(t)^2."""
        return self._scale * torch.expm1(self._exponent(t))

    def sbar2(self, t: Tensor) -> Tensor:
        """s(1)^2 - s(t)^2 without cancellation."""
        exponent = self._exponent(t)
        return self._scale * exponent.exp() * torch.expm1(self._rest(t))

    @property
    def _scale(self) -> float:
        return self.c / (2 * self.log_k) if self.schedule == "ve" else self.c

    def _exponent(self, t: Tensor) -> Tensor:
        if self.schedule == "ve":
            return 2 * self.log_k * t
        return self.beta_min * t + (self.beta_max - self.beta_min) * t.square() / 2

    def _rest(self, t: Tensor) -> Tensor:
        """exponent(1) - exponent(t)."""
        if self.schedule == "ve":
            return 2 * self.log_k * (1 - t)
        return (1 - t) * (self.beta_min + (self.beta_max - self.beta_min) * (1 + t) / 2)

    def a(self, t: Tensor) -> Tensor:
        return self.alpha(t) * self.sbar2(t) / self.s2(torch.ones_like(t))

    def b(self, t: Tensor) -> Tensor:
        one = torch.ones_like(t)
        return self.alpha(t) / self.alpha(one) * self.s2(t) / self.s2(one)

    def sigma(self, t: Tensor) -> Tensor:
        squared = self.sbar2(t) * self.s2(t) / self.s2(torch.ones_like(t))
        return self.alpha(t) * squared.sqrt()

    def log_snr(self, t: Tensor) -> Tensor:
        ratio = self.sbar2(t) / (self.s2(t) * self.s2(torch.ones_like(t)))
        return ratio.log() / 2  # finite at t = 1, where a and sigma are both 0

    def linear(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The reference SDE dx = f x dt + g dw conditioned on its end mu (Doob's h-transform):
        g^2 = alpha^2 (s^2)', drift = f x + g^2 (alpha mu / alpha1 - x) / (alpha^2 sbar^2)."""
        if self.schedule == "ve":
            rate, f = torch.full_like(t, 2 * self.log_k), torch.zeros_like(t)
        else:
            rate = self.beta_min + (self.beta_max - self.beta_min) * t
            f = -rate / 2
        growth = self._scale * rate * self._exponent(t).exp()  # (s^2)'
        pull = growth / self.sbar2(t)
        ratio = self.alpha(t) / self.alpha(torch.ones_like(t))
        return f - pull, pull * ratio, self.alpha(t) * growth.sqrt()
