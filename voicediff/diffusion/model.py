"""The diffusion model: a forward process, a denoiser trained on it, and sampling with a solver."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.diffusion.guidance import GuidanceTerm, Known, Windows, guided, inpainted, windowed
from voicediff.diffusion.noise import Noise
from voicediff.diffusion.objectives import DataObjective, Estimate, Objective, from_data
from voicediff.diffusion.samplers import Callback, EstimateAt, Progress, Sampler
from voicediff.diffusion.sdes import SDE
from voicediff.diffusion.times import Times
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import per_item
from voicediff.networks.precision import bfloat16
from voicediff.registry import build


@dataclass
class DiffusionLosses:
    """The loss of a batch as a sum and a count, so that any split into batches gives the same mean.

    loss: scalar, sum over items and valid frames of the weighted squared error (mean over bins).
    frames: scalar, number of valid frames; divide sums of `loss` by sums of `frames`.
    by_item, t: (B,) mean loss per valid frame, and time.
    estimate: the decoder's estimate at x_t, in the units of x0, for further losses on the data.
    """

    loss: Tensor
    frames: Tensor
    by_item: Tensor
    t: Tensor
    estimate: Estimate


class Diffusion(nn.Module):
    """A diffusion model: one forward process, one learned denoiser, one reverse solver.

    The process adds noise to a clean feature x0 (B, C, F, T) and moves its mean towards mu, an
    estimate of x0. The decoder is trained to denoise; `sample` integrates the reverse process.

    Args:
        decoder: the network. Only the network runs under autocast; all else is float32.
        sde, objective: the forward process, and the quantity that the decoder predicts.
        times: distribution of training times, a part of kind `times`.
        residual_scale: the process runs on mu + scale (x0 - mu); a scale of 1 / std(x0 - mu) gives
            signal and noise the same size.
        drop: probability of dropping each named condition in training (`mu`: the decoder's input
            mu), as classifier-free guidance requires.
        scheduled_sampling: share of items whose training state x_t is made from the decoder's own estimate
            at t_max (one evaluation without gradients) in place of x0, which stays the target. It
            reduces the mismatch between training, where x_t contains the true data, and sampling,
            where it contains earlier estimates: scheduled sampling (Bengio et al. 2015) of one step,
            see also Lay et al. (2024). Requires the objective `data`.
        bf16: run the decoder in bfloat16 where the device supports it.

    >>> import torch
    >>> from voicediff.diffusion.noise import SeededNoise
    >>> from voicediff.networks.conditions import Conditions
    >>> from voicediff.registry import build
    >>> decoder = build("decoder", {"name": "wavenet", "layers": 2, "channels": 16},
    ...                 channels_in=1, bins=8, conditions={})
    >>> model = Diffusion(decoder, build("sde", {"name": "vp_mean"}), build("objective", {"name": "data"}))
    >>> mu, mask = torch.zeros(2, 1, 8, 20), torch.ones(2, 20, dtype=torch.bool)
    >>> sampler = build("sampler", {"name": "dpm_solver", "steps": 4})
    >>> model.sample(sampler, mu, Conditions(), mask, SeededNoise([1, 2])).shape
    torch.Size([2, 1, 8, 20])
    """

    def __init__(
        self,
        decoder: nn.Module,
        sde: SDE,
        objective: Objective,
        times: Mapping = {"name": "uniform"},
        residual_scale: float = 1.0,
        drop: Mapping[str, float] = {},
        scheduled_sampling: float = 0.0,
        bf16: bool = False,
    ):
        super().__init__()
        objective.require(sde)
        if scheduled_sampling and not isinstance(objective, DataObjective):
            raise ConfigError("diffusion.scheduled_sampling: requires the objective data")
        self.decoder, self.sde, self.objective = decoder, sde, objective
        self.times: Times = build("times", times)
        self.residual_scale, self.drop, self.bf16 = residual_scale, dict(drop), bf16
        self.scheduled_sampling = scheduled_sampling

    def loss(
        self,
        x0: Tensor,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        noise: Noise,
        decoder_mu: Tensor | None = None,
        z: Tensor | None = None,
    ) -> DiffusionLosses:
        """x0, mu (B, C, F, T), mask bool (B, T) -> losses; mu is detached in path and target.

        decoder_mu: the mu given to the decoder, by default `mu`; gradients flow through it.
        z: the noise of x_t, where it is paired with x0; by default it is sampled.
        """
        keep = _frames(mask, x0)
        decoder_mu, mu = mu if decoder_mu is None else decoder_mu, mu.detach() * keep
        x0 = self._scaled(x0, mu) * keep
        t = self.times.sample(self.sde, noise, x0)
        decoder_mu, cond = self._dropped(decoder_mu, cond, noise)
        z = (noise(x0) if z is None else z) * keep
        start = x0
        if self.scheduled_sampling:
            is_own = _uniform(noise, 1, x0)[:, 0] < self.scheduled_sampling
            own = self._one_step_estimate(mu, decoder_mu, cond, mask, noise)
            start = torch.where(per_item(is_own, x0), own, x0)
        mean, sigma = self.sde.marginal(start, mu, t)
        x = mean + per_item(sigma, x0) * z
        output = self._output(x, mu, t, decoder_mu, cond, mask)
        target = self.objective.target(self.sde, x0, mu, t, z)
        squared = ((output - target).square() * keep).flatten(1, -2).mean(1)  # (B, T)
        by_item = squared.sum(1) * self.objective.weight(self.sde, t)
        estimate = self._masked(self.objective.estimate(output, self.sde, x, mu, t), keep)
        estimate.data = self._unscaled(estimate.data, mu)
        count = mask.sum(1)
        return DiffusionLosses(by_item.sum(), count.sum(), by_item / count.clamp(1), t, estimate)

    def sample(
        self,
        sampler: Sampler,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        noise: Noise,
        x: Tensor | None = None,
        t_start: float | None = None,
        noise_scale: float = 1.0,
        callback: Callback | None = None,
        decoder_mu: Tensor | None = None,
        guidance: Sequence[GuidanceTerm] = (),
        known: Known | None = None,
        windows: Windows | None = None,
    ) -> Tensor:
        """Samples x0 (B, C, F, T) given mu and conditions; zero where padded.

        t_start: start of the reverse process (shallow diffusion), by default t_max. The state there
            is mu with the noise of t_start.
        x: another state to start from, e.g. `noised(x0, ...)`.
        noise_scale: standard deviation of the prior's noise in units of sigma (temperature).
        decoder_mu, guidance, known, windows: see `loss` and `voicediff.diffusion.guidance`.
        """
        keep = _frames(mask, mu)
        mu, masked_noise = mu * keep, lambda like: noise(like) * keep
        if x is None:
            x = self.sde.prior(mu, masked_noise, noise_scale, t_start)
        if known is not None:
            known = Known(self._scaled(known.x0, mu) * keep, known.where)
        estimate = self.guided_denoiser(mu, cond, mask, decoder_mu, guidance, known, windows)
        with torch.no_grad():
            x0 = sampler(
                estimate,
                self.sde,
                mu,
                x=x * keep,
                t_start=t_start,
                noise=masked_noise,
                callback=self._in_data_units(callback, mu),
            )
        if known is not None:
            x0 = torch.where(known.where, known.x0, x0)
        return self._unscaled(x0, mu) * keep

    def guidance_terms(
        self, scales: Mapping[str, float], mu: Tensor, cond: Conditions
    ) -> list[GuidanceTerm]:
        """Terms of classifier-free guidance for `sample`: one per condition whose scale is not 0.

        `mu` is the decoder's input mu. ConfigError for a condition that training did not drop
        (`drop`): the decoder has not learned to predict without it.
        """
        self.require_sampling(None, scales)
        return [
            GuidanceTerm(
                scale, cond.without([name]), torch.zeros_like(mu) if name == "mu" else None
            )
            for name, scale in scales.items()
            if scale
        ]

    def require_sampling(self, shallow: float | None, guidance: Mapping[str, float]) -> None:
        """ConfigError where `sample` cannot start at `shallow` or use this guidance."""
        low, high = self.sde.t_min, self.sde.t_max
        if shallow is not None and not low < shallow <= high:
            raise ConfigError(
                f"shallow: must be above {low:g} and at most {high:g}, found {shallow:g}"
            )
        for name in guidance:
            if not self.drop.get(name):
                raise ConfigError(
                    f"guidance.{name}: this condition was not dropped in training; "
                    f"dropped conditions: {', '.join(self.drop) or 'none'} (task.diffusion.drop)"
                )

    def noised(self, x0: Tensor, mu: Tensor, t: float | Tensor, noise: Noise) -> Tensor:
        """A sample of x_t given x0, from which `sample` can start; x0, mu (B, C, F, T), t (B,) or one."""
        mean, sigma = self.sde.marginal(self._scaled(x0, mu), mu, _times_of(t, mu))
        return mean + per_item(sigma, mu) * noise(mu)

    def noise_between(
        self, x0: Tensor, x: Tensor, mu: Tensor, t: float | Tensor | None = None
    ) -> Tensor:
        """The noise in x, given that its data is x0, at t (default t_max); all (B, C, F, T)."""
        at = _times_of(self.sde.t_max if t is None else t, mu)
        return from_data(self._scaled(x0, mu), self.sde, x, mu, at).noise

    def estimate(
        self, x: Tensor, mu: Tensor, t: Tensor, cond: Conditions, mask: Tensor
    ) -> Estimate:
        """The decoder's estimate of data and noise in x (B, C, F, T) at t (B,), with gradients.

        With a `residual_scale` the data is mu + scale (x0 - mu), as in samplers.
        """
        output = self._output(x, mu, t, mu, cond, mask)
        return self._masked(self.objective.estimate(output, self.sde, x, mu, t), _frames(mask, x))

    def denoiser(
        self, mu: Tensor, cond: Conditions, mask: Tensor, decoder_mu: Tensor | None = None
    ) -> EstimateAt:
        """`estimate(x, t)` for samplers; `Decoder.prepare` runs once for all steps."""
        decoder_mu = mu if decoder_mu is None else decoder_mu
        keep = _frames(mask, mu)
        with torch.no_grad(), self._autocast(mu):
            prepared = self.decoder.prepare(decoder_mu, cond, mask)

        def estimate(x: Tensor, t: Tensor) -> Estimate:
            output = self._output(x, mu, t, decoder_mu, prepared, mask)
            return self._masked(self.objective.estimate(output, self.sde, x, mu, t), keep)

        return estimate

    def guided_denoiser(
        self,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        decoder_mu: Tensor | None = None,
        guidance: Sequence[GuidanceTerm] = (),
        known: Known | None = None,
        windows: Windows | None = None,
    ) -> EstimateAt:
        """The `denoiser` with guidance, known regions and windows applied."""

        def window(start: int, stop: int) -> EstimateAt:
            def cut(x: Tensor | None) -> Tensor | None:
                return None if x is None else x[..., start:stop]

            def plain(cond: Conditions, decoder_mu: Tensor | None) -> EstimateAt:
                return self.denoiser(cut(mu), cond.crop(start, stop), cut(mask), cut(decoder_mu))

            reduced = [
                (g.scale, plain(g.cond, decoder_mu if g.mu is None else g.mu))
                for g in guidance
                if g.scale
            ]
            return guided(plain(cond, decoder_mu), reduced)

        if windows is None:
            estimate = window(0, mu.shape[-1])
        else:
            estimate = windowed(window, self.sde, mu, windows)
        return estimate if known is None else inpainted(estimate, self.sde, mu, known)

    @torch.no_grad()
    def _one_step_estimate(
        self, mu: Tensor, decoder_mu: Tensor, cond: Conditions, mask: Tensor, noise: Noise
    ) -> Tensor:
        """Data estimated from the prior in one evaluation, with `residual_scale` applied."""
        keep, t = _frames(mask, mu), _times_of(self.sde.t_max, mu)
        x = self.sde.prior(mu, lambda like: noise(like) * keep)
        output = self._output(x, mu, t, decoder_mu, cond, mask)
        return self.objective.estimate(output, self.sde, x, mu, t).data * keep

    def _output(
        self, x: Tensor, mu: Tensor, t: Tensor, decoder_mu: Tensor, cond: object, mask: Tensor
    ) -> Tensor:
        x_in, time_in = self.objective.inputs(self.sde, x, mu, t)
        with self._autocast(x):
            return self.decoder(x_in, time_in, decoder_mu, cond, mask).float()

    def _autocast(self, x: Tensor) -> contextlib.AbstractContextManager:
        return bfloat16(x.device.type, self.bf16)

    def _dropped(
        self, decoder_mu: Tensor, cond: Conditions, noise: Noise
    ) -> tuple[Tensor, Conditions]:
        if not self.drop:
            return decoder_mu, cond
        u = _uniform(noise, len(self.drop), decoder_mu)
        kept = {name: u[:, i] >= p for i, (name, p) in enumerate(self.drop.items())}
        if "mu" in kept:
            decoder_mu = decoder_mu * per_item(kept.pop("mu"), decoder_mu)
        return decoder_mu, cond.kept(kept)

    def _scaled(self, x0: Tensor, mu: Tensor) -> Tensor:
        return x0 if self.residual_scale == 1 else mu + self.residual_scale * (x0 - mu)

    def _unscaled(self, x0: Tensor, mu: Tensor) -> Tensor:
        return x0 if self.residual_scale == 1 else mu + (x0 - mu) / self.residual_scale

    def _masked(self, estimate: Estimate, keep: Tensor) -> Estimate:
        return Estimate(estimate.data * keep, estimate.noise * keep)

    def _in_data_units(self, callback: Callback | None, mu: Tensor) -> Callback | None:
        """The callback, with the data estimate converted back to the units of x0."""
        if callback is None:
            return None

        def report(progress: Progress) -> None:
            callback(dataclasses.replace(progress, data=self._unscaled(progress.data, mu)))

        return report


def _uniform(noise: Noise, count: int, like: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), (B, count), from each item's own noise."""
    return torch.special.ndtr(noise(torch.zeros(len(like), count))).to(like.device)


def _times_of(t: float | Tensor, like: Tensor) -> Tensor:
    """One time, or times (B,), as (B,)."""
    return t if isinstance(t, Tensor) else like.new_full(like.shape[:1], t)


def _frames(mask: Tensor, like: Tensor) -> Tensor:
    """The mask (B, T) as 0 and 1 of a shape that broadcasts over `like` (B, ..., T)."""
    return mask.reshape(len(mask), *(1,) * (like.dim() - 2), -1).to(like.dtype)
