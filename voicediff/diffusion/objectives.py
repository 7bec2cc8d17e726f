"""Objectives: the inputs of the decoder, its training target, and the estimate from its output.

With x_t = a x0 + b mu + sigma z, both the data x0 and the noise z follow from the output of the
decoder for every objective.

    noise     z                                      data = (x - b mu - sigma z) / a
    score     -z / sigma                             as noise
    data      x0 (or x0 - mu)                        noise = (x - a x0 - b mu) / sigma
    velocity  a' x0 + b' mu + sigma' z = dx/dt       both from dx/dt and x
    v         (a z - sigma x0) / n, n^2 = a^2 + sigma^2
    edm       unit-variance mixture of residual and noise

`Objective.require` raises for combinations of objective and process that are not defined.
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
TimeInput = Literal["t", "log_sigma"]


@dataclass
class Estimate:
    """Estimated data and noise in x_t = a data + b mu + sigma noise; both like x."""

    data: Tensor
    noise: Tensor


class Objective(ABC):
    """The decoder's training target, and the interpretation of its output ("answer").

    Functions of t take and return (B,).

    Args:
        weighting: weight of the squared error: 1 (`answer`), or that which makes it the error of
            the estimated `data` or `noise`; `min_snr`: data, times min(SNR, 5) (Hang et al. 2023);
            `sigmoid`: data, times SNR sigmoid(2 - log SNR) (Kingma and Gao 2023); `likelihood`:
            noise, times g^2 / sigma^2 (Song et al. 2021b).
        input: input of the decoder: `state`, x; `unit`, x divided by its std for data of std 1 (for
            processes with large sigma); `residual`, (x - (a + b) mu) divided by its std.
        time: time conditioning of the decoder: `t`, or `log_sigma`, log(sigma) / 4 as in EDM.
    """

    #: functions of t by which the estimate or the target divides
    divides_by: tuple[Literal["a", "sigma"], ...] = ()
    #: whether the target contains sigma'
    differentiates: bool = False
    #: assumed std of the residual x0 - mu, for `input: residual`
    sigma_data: float = 1.0

    def __init__(
        self, weighting: Weighting = "answer", input: Input = "state", time: TimeInput = "t"
    ):
        self.weighting, self.input, self.time = weighting, input, time

    def inputs(self, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Input (like x) and time conditioning (B,) of the decoder."""
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
        """Training target of the decoder's output at x_t, like x0."""

    @abstractmethod
    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        """Data and noise from the decoder's output."""

    @abstractmethod
    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        """Ratio of the error of the data estimate to the error of the output, (B,)."""

    def weight(self, sde: SDE, t: Tensor) -> Tensor:
        """Weight (B,) of the squared error of the output."""
        if self.weighting == "answer":
            return torch.ones_like(t)
        at = widened(t)
        return narrowed(self.gain(sde, at).square() * _data_weight(self.weighting, sde, at), t)

    def require(self, sde: SDE) -> None:
        """ConfigError where target or estimate would be infinite on the path.

        `noise` and `score` divide by a, so flow and bridge need t_max < 1. `score` divides by sigma,
        which is 0 at t = 0 in most processes and at t = 1 in the bridge. `velocity` contains sigma',
        which is infinite at the same ends except in flow and edm.
        """
        for end, option in ((sde.t_min, "t_min"), (sde.t_max, "t_max")):
            t = torch.tensor([end], dtype=torch.float64)
            for factor in self.divides_by:
                if getattr(sde, factor)(t).item() <= 0:
                    self._refuse(sde, f"divides by {factor}(t)", "0", end, option)
            if self.differentiates and not all(d.isfinite().all() for d in sde.derivatives(t)):
                self._refuse(sde, "contains sigma'(t)", "infinite", end, option)

    def _refuse(self, sde: SDE, does: str, value: str, end: float, option: str) -> None:
        raise ConfigError(
            f"objective: {type(self).__name__} {does}, which is {value} at t = {end:g} of "
            f"{type(sde).__name__}; move sde.{option} inwards, or use data, v or edm"
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
    """Estimate from predicted data; the noise is 0 where sigma = 0."""
    a, b, sigma = (f(widened(t)) for f in (sde.a, sde.b, sde.sigma))
    share = torch.where(sigma > 0, 1 / sigma, 0)
    return Estimate(data, _times(share, x - _times(a, data) - _times(b, mu)))


def from_noise(noise: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
    """Estimate from predicted noise; the error of the data is that of the noise times sigma / a."""
    a, b, sigma = (f(widened(t)) for f in (sde.a, sde.b, sde.sigma))
    return Estimate(_times(1 / a, x - _times(b, mu) - _times(sigma, noise)), noise)


@register("objective", "noise")
class NoiseObjective(Objective):
    """Noise prediction: target z (Ho et al. 2020, Eq. 14), as in DDPM and Grad-TTS.

    The data estimate divides by a, so where a(t_max) is small it needs long training.
    """

    divides_by = ("a",)

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return noise

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_noise(output, sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return sde.sigma(t) / sde.a(t)


@register("objective", "score")
class ScoreObjective(Objective):
    """Score prediction: target -z / sigma (Song et al. 2021, Eq. 7), as in score_sde and SGMSE.

    Also that of Grad-TTS' published weights. The default weighting `noise` is denoising score
    matching with lambda = sigma^2.
    """

    divides_by = ("a", "sigma")

    def __init__(
        self, weighting: Weighting = "noise", input: Input = "state", time: TimeInput = "t"
    ):
        super().__init__(weighting, input, time)

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return _times(-1 / sde.sigma(widened(t)), noise)

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_noise(_times(-sde.sigma(widened(t)), output), sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return sde.sigma(t).square() / sde.a(t)


@register("objective", "data")
class DataObjective(Objective):
    """Data prediction: target x0, or x0 - mu; stable at t_max, recommended for short training.

    residual: predict x0 - mu and add mu, so that an output of zero is the estimate mu.
    """

    def __init__(
        self,
        residual: bool = True,
        weighting: Weighting = "answer",
        input: Input = "state",
        time: TimeInput = "t",
    ):
        super().__init__(weighting, input, time)
        self.residual = residual

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return x0 - mu if self.residual else x0

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        return from_data(output + mu if self.residual else output, sde, x, mu, t)

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@register("objective", "velocity")
class VelocityObjective(Objective):
    """Velocity prediction: target dx/dt, flow matching (Lipman et al. 2023, Eq. 9; Liu et al. 2023).

    With W = a sigma' - a' sigma, y = dx/dt - b' mu and u = x - b mu:
    data = (sigma' u - sigma y) / W, noise = (a y - a' u) / W. Recommended with `flow`, where W = 1.
    """

    differentiates = True

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        da, db, dsigma = sde.derivatives(widened(t))
        return _times(da, x0) + _times(db, mu) + _times(dsigma, noise)

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at = widened(t)
        a, b, sigma = sde.a(at), sde.b(at), sde.sigma(at)
        da, db, dsigma = sde.derivatives(at)
        w = a * dsigma - da * sigma
        y, u = output - _times(db, mu), x - _times(b, mu)
        data = _times(dsigma / w, u) - _times(sigma / w, y)
        return Estimate(data, _times(a / w, y) - _times(da / w, u))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        da, _, dsigma = sde.derivatives(t)
        return sde.sigma(t) / (sde.a(t) * dsigma - da * sde.sigma(t))


@register("objective", "v")
class VObjective(Objective):
    """v prediction: target (a z - sigma x0) / sqrt(a^2 + sigma^2) (Salimans and Ho 2022, appendix D).

    Finite at every t of every process: close to the noise at high SNR, to the data at low SNR.

    >>> from voicediff.diffusion.sdes import VP
    >>> sde, t = VP(), torch.tensor([0.3])
    >>> x0, mu, z = torch.tensor([[2.0]]), torch.zeros(1, 1), torch.tensor([[-1.0]])
    >>> x = sde.a(t) * x0 + sde.sigma(t) * z
    >>> output = VObjective().target(sde, x0, mu, t, z)
    >>> found = VObjective().estimate(output, sde, x, mu, t)
    >>> round(found.data.item(), 3), round(found.noise.item(), 3)
    (2.0, -1.0)
    """

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        cos, sin, _ = _angle(sde, widened(t), 1.0)
        return _times(cos, noise) - _times(sin, x0)

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at = widened(t)
        cos, sin, total = _angle(sde, at, 1.0)
        u = _times(1 / total, x - _times(sde.b(at), mu))
        data = _times(cos, u) - _times(sin, output)
        return Estimate(data, _times(sin, u) + _times(cos, output))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return _angle(sde, t, 1.0)[1]


@register("objective", "edm")
class EDMObjective(Objective):
    """EDM preconditioning, extended to every process (Karras et al. 2022, Eq. 7 and Table 1).

    With w = x - (a + b) mu = a r + sigma z and v^2 = a^2 s^2 + sigma^2, the residual r = x0 - mu is
    estimated as (a s^2 / v^2) w + (sigma s / v) F(w / v). Input and target of the network F have
    variance 1 at every t. Recommended for small networks and short training.

    sigma_data: s, standard deviation of the residual x0 - mu (of the data where mu is 0).
    """

    def __init__(
        self, sigma_data: float = 0.5, weighting: Weighting = "answer", time: TimeInput = "t"
    ):
        super().__init__(weighting, "residual", time)
        self.sigma_data = sigma_data

    def target(self, sde: SDE, x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        # (r - skip w) / out with w = a r + sigma z, simplified: finite at both ends
        cos, sin, _ = _angle(sde, widened(t), self.sigma_data)
        return _times(sin / self.sigma_data, x0 - mu) - _times(cos, noise)

    def estimate(self, output: Tensor, sde: SDE, x: Tensor, mu: Tensor, t: Tensor) -> Estimate:
        at, s = widened(t), self.sigma_data
        cos, sin, total = _angle(sde, at, s)
        w = _times(1 / total, x - _times(sde.a(at) + sde.b(at), mu))
        residual = _times(cos * s, w) + _times(sin * s, output)
        return Estimate(mu + residual, _times(sin, w) - _times(cos, output))

    def gain(self, sde: SDE, t: Tensor) -> Tensor:
        return _angle(sde, t, self.sigma_data)[1] * self.sigma_data


def _angle(sde: SDE, t: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """(a s / v, sigma / v, v), v^2 = a^2 s^2 + sigma^2; the limit (0, 1, 1e-12) where both are 0."""
    a, sigma = sde.a(t) * scale, sde.sigma(t)
    total = (a.square() + sigma.square()).sqrt().clamp(min=1e-12)
    return a / total, torch.where(sigma + a > 0, sigma / total, 1), total
