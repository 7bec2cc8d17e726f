"""What goes into the decoder and what its answer means.

With x_t = a x0 + b mu + sigma z every objective asks the decoder a question about x_t from whose
answer both the data x0 and the noise z follow.

    noise     z                                      data = (x - b mu - sigma z) / a
    score     -z / sigma                             as noise
    data      x0 (or x0 - mu)                        noise = (x - a x0 - b mu) / sigma
    velocity  a' x0 + b' mu + sigma' z = dx/dt       both from dx/dt and x
    v         (a z - sigma x0) / n, n^2 = a^2 + sigma^2
    edm       unit-variance mixture of residual and noise

What cannot be combined, and why, is `Objective.require`'s to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.networks.layers import per_item
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import register

Weighting = Literal["answer", "data", "noise", "min_snr", "sigmoid", "likelihood"]
Input = Literal["state", "unit", "residual"]
Clock = Literal["t", "log_sigma"]


@dataclass
class Estimate:
    """What is thought of x_t = a data + b mu + sigma noise; both like x."""

    data: Tensor
    noise: Tensor


class Objective(ABC):
    """Training target and reading of the decoder's answer. Functions of t take and give (B,).

    Args:
        weighting: in which units the squared error counts: of the `answer`, of the `data` or the
            `noise` it stands for; `min_snr`: data, by min(SNR, 5) (Hang et al. 2023); `sigmoid`:
            data, by SNR times sigmoid(2 - log SNR) (Kingma and Gao 2023); `likelihood`: noise, by
            g^2 / sigma^2 (Song et al. 2021b).
        input: what the decoder sees: the `state` x; `unit`: x over its std for data of std 1 (for
            processes whose sigma is large); `residual`: (x - (a + b) mu) over its std.
        time: the decoder's clock: `t`, or `log_sigma`, log(sigma)/4 as in EDM.
    """

    #: what the way from the answer to data and noise, or the target, divides by
    divides_by: tuple[Literal["a", "sigma"], ...] = ()
    #: whether the target holds sigma'
    differentiates: bool = False
    #: std of the residual x0 - mu that `input: residual` reckons with
    sigma_data: float = 1.0

    def __init__(self, weighting: Weighting = "answer", input: Input = "state", time: Clock = "t"):
        self.weighting, self.input, self.time = weighting, input, time

    def inputs(self, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder sees of x and of t."""
        a, b, sigma = (f(widened(t)) for f in (sde.a, sde.b, sde.sigma))
        if self.input == "unit":
            x = _times(1 / ((a + b).square() + sigma.square()).sqrt(), x)
        elif self.input == "residual":
            total = ((a * self.sigma_data).square() + sigma.square()).sqrt()
            x = _times(1 / total.clamp(min=1e-12), x - _times(a + b, mu))
        if self.time == "log_sigma":
            t = narrowed(sigma.clamp(min=1e-12).log() / 4, t)
        return x, t

    @abstractmethod
    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the decoder should answer at x_t, like x0."""

    @abstractmethod
    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        """Data and noise from the decoder's answer."""

    @abstractmethod
    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        """By how much an error of the answer moves the data estimate, (B,)."""

    def weight(self, sde: SDE, t: Tensor) -> Tensor:
        """Weight (B,) of the squared error of the answer."""
        if self.weighting == "answer":
            return torch.ones_like(t)
        at = widened(t)
        return narrowed(self.gain(sde, at).square() * _data_weight(self.weighting, sde, at), t)

    def require(self, sde: SDE) -> None:
        """Raise ConfigError where the answer would be infinite on the path.

        `noise` and `score` divide by a, so they want t_max < 1 on flow and bridge; `score` divides
        by sigma, which ends at 0 in most processes at t = 0 and in the bridge at t = 1; `velocity`
        holds sigma', infinite at those same ends of all but flow, ve-like starts and edm.
        """
        for end, option in ((sde.t_min, "t_min"), (sde.t_max, "t_max")):
            t = torch.tensor([end], dtype=torch.float64)
            for factor in self.divides_by:
                if getattr(sde, factor)(t).item() <= 0:
                    self._refuse(sde, f"divides by {factor}(t)", "0", end, option)
            if self.differentiates and not all(d.isfinite().all() for d in sde.derivatives(t)):
                self._refuse(sde, "holds sigma'(t)", "infinite", end, option)

    def _refuse(self, sde: SDE, does: str, value: str, end: float, option: str) -> None:
        raise ConfigError(
            f"objective: {type(self).__name__} {does}, which is {value} at t = {end:g} of "
            f"{type(sde).__name__}; move sde.{option} inwards, or take data, v or edm"
        )


def _times(factor: Tensor, x: Tensor) -> Tensor:
    """factor (B,) of `widened` times x (B, ...), in the dtype of x."""
    return narrowed(per_item(factor, x), x) * x


def _data_weight(weighting: Weighting, sde: SDE, t: Tensor) -> Tensor:
    """Weight of the squared error of the data estimate."""
    snr = (sde.a(t) / sde.sigma(t)).square()
    if weighting == "data":
        return torch.ones_like(t)
    if weighting == "noise":
        return snr
    if weighting == "min_snr":
        return snr.clamp(max=5.0)
    if weighting == "sigmoid":
        return snr * torch.sigmoid(2 - snr.log())
    return snr * (sde.linear(t)[2] / sde.sigma(t)).square()


def from_data(data: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
    """The noise that goes with a data prediction; 0 where the path has none (sigma = 0)."""
    a, b, sigma = (f(widened(t)) for f in (sde.a, sde.b, sde.sigma))
    share = torch.where(sigma > 0, 1 / sigma, 0)
    return Estimate(data, _times(share, x - _times(a, data) - _times(b, mu)))


def from_noise(noise: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
    """The data that goes with a noise prediction; its error is the noise's times sigma / a."""
    a, b, sigma = (f(widened(t)) for f in (sde.a, sde.b, sde.sigma))
    return Estimate(_times(1 / a, x - _times(b, mu) - _times(sigma, noise)), noise)


@register("objective", "noise")
class NoiseObjective(Objective):
    """The decoder predicts the noise z: DDPM, Grad-TTS. Needs long training where a(t_max) is small."""

    divides_by = ("a",)

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return noise

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_noise(answer, sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return sde.sigma(t) / sde.a(t)


@register("objective", "score")
class ScoreObjective(Objective):
    """The decoder predicts the score -z / sigma: score_sde, SGMSE, Grad-TTS' published weights.

    Its loss counts the noise by default (denoising score matching with lambda = sigma^2).
    """

    divides_by = ("a", "sigma")

    def __init__(self, weighting: Weighting = "noise", input: Input = "state", time: Clock = "t"):
        super().__init__(weighting, input, time)

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return _times(-1 / sde.sigma(widened(t)), noise)

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_noise(_times(-sde.sigma(widened(t)), answer), sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return sde.sigma(t).square() / sde.a(t)


@register("objective", "data")
class DataObjective(Objective):
    """The decoder predicts the data x0: stable at t_max, the choice for short training.

    residual: predict x0 - mu and add mu, so that a network that knows nothing answers mu.
    """

    def __init__(
        self,
        residual: bool = True,
        weighting: Weighting = "answer",
        input: Input = "state",
        time: Clock = "t",
    ):
        super().__init__(weighting, input, time)
        self.residual = residual

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return x0 - mu if self.residual else x0

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_data(answer + mu if self.residual else answer, sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@register("objective", "velocity")
class VelocityObjective(Objective):
    """The decoder predicts dx/dt along the conditional path: flow matching, rectified flow.

    With W = a sigma' - a' sigma and y = dx/dt - b' mu, u = x - b mu:
    data = (sigma' u - sigma y) / W, noise = (a y - a' u) / W. At its best on `flow`, where W = 1.
    """

    differentiates = True

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        da, db, dsigma = sde.derivatives(widened(t))
        return _times(da, x0) + _times(db, mu) + _times(dsigma, noise)

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at = widened(t)
        a, b, sigma = sde.a(at), sde.b(at), sde.sigma(at)
        da, db, dsigma = sde.derivatives(at)
        w = a * dsigma - da * sigma
        y, u = answer - _times(db, mu), x - _times(b, mu)
        data = _times(dsigma / w, u) - _times(sigma / w, y)
        return Estimate(data, _times(a / w, y) - _times(da / w, u))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        da, _, dsigma = sde.derivatives(t)
        return sde.sigma(t) / (sde.a(t) * dsigma - da * sde.sigma(t))


@register("objective", "v")
class VObjective(Objective):
    """The decoder predicts v = (a z - sigma x0) / sqrt(a^2 + sigma^2) (Salimans and Ho 2022).

    On the circle of a and sigma: finite at every t of every process, noise where the data is left
    and data where it is gone.
    """

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        cos, sin, _ = _angle(sde, widened(t), 1.0)
        return _times(cos, noise) - _times(sin, x0)

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at = widened(t)
        cos, sin, total = _angle(sde, at, 1.0)
        u = _times(1 / total, x - _times(sde.b(at), mu))
        data = _times(cos, u) - _times(sin, answer)
        return Estimate(data, _times(sin, u) + _times(cos, answer))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return _angle(sde, t, 1.0)[1]


@register("objective", "edm")
class EDMObjective(Objective):
    """Karras' preconditioning for every path (Karras et al. 2022, Table 1, generalised).

    With w = x - (a + b) mu = a r + sigma z and v^2 = a^2 s^2 + sigma^2 the residual r = x0 - mu is
    (a s^2 / v^2) w + (sigma s / v) F(w / v); F has unit input and unit target at every t of every
    process. Choose it for small networks and short training.

    sigma_data: s, standard deviation of the residual x0 - mu (of the data where mu is 0).
    """

    def __init__(self, sigma_data: float = 0.5, weighting: Weighting = "answer", time: Clock = "t"):
        super().__init__(weighting, "residual", time)
        self.sigma_data = sigma_data

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        # (r - skip w) / out with w = a r + sigma z, simplified: finite at both ends
        cos, sin, _ = _angle(sde, widened(t), self.sigma_data)
        return _times(sin / self.sigma_data, x0 - mu) - _times(cos, noise)

    def estimate(self, answer: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at, s = widened(t), self.sigma_data
        cos, sin, total = _angle(sde, at, s)
        w = _times(1 / total, x - _times(sde.a(at) + sde.b(at), mu))
        residual = _times(cos * s, w) + _times(sin * s, answer)
        return Estimate(mu + residual, _times(sin, w) - _times(cos, answer))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return _angle(sde, t, self.sigma_data)[1] * self.sigma_data


def _angle(sde: SDE, t: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """(a s / v, sigma / v, v), v^2 = a^2 s^2 + sigma^2; (0, 1, tiny) where both are 0, as the limit."""
    a, sigma = sde.a(t) * scale, sde.sigma(t)
    total = (a.square() + sigma.square()).sqrt().clamp(min=1e-12)
    return a / total, torch.where(sigma + a > 0, sigma / total, 1), total
