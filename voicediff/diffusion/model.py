"""The heart: a process, an objective and a decoder; noise a feature towards a mean, learn, walk back."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.diffusion.guidance import Guide, Known, Windows, guided, inpainted, windowed
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
    """The loss of a batch, so that sums over any split of it agree.

    loss: scalar, sum over items and valid frames of the weighted squared error (mean over bins).
    frames: scalar, number of valid frames: divide the global sums.
    by_item, t: (B,) mean loss per valid frame, and time.
    estimate: what the decoder thought of x_t, in the units of x0, for losses on the data.
    """

    loss: Tensor
    frames: Tensor
    by_item: Tensor
    t: Tensor
    estimate: Estimate


class Diffusion(nn.Module):
    """Noise a clean feature towards a mean, learn to denoise it, walk back.

    Args:
        decoder: the network; its autocast, if any, ends there: all else is float32.
        sde, objective: what is noised and what is asked.
        times: distribution of training times, a part of kind `times`.
        residual_scale: the path is run in mu + scale (x0 - mu): a scale of 1 / std(x0 - mu) gives
            signal and noise the same size.
        drop: probability with which training hides each named condition (`mu`: the decoder's view of
            mu), so that guidance can leave it out.
        own_states: share of items whose training state is noised from what the decoder itself thinks
            at t_max, a call without gradients, while x0 stays the target. States between the ends
            otherwise hold the true data, which no walk meets: the decoder learns to read it from there, and each
            call adds its own errors. Scheduled sampling (Bengio et al. 2015) of one step, as Lay et al.
            (2024) correct the reverse process; wants the objective `data`.
        bf16: run the decoder in bfloat16 where the device has it.
    """

    def __init__(
        self,
        decoder: nn.Module,
        sde: SDE,
        objective: Objective,
        times: Mapping = {"name": "uniform"},
        residual_scale: float = 1.0,
        drop: Mapping[str, float] = {},
        own_states: float = 0.0,
        bf16: bool = False,
    ):
        super().__init__()
        objective.require(sde)
        if own_states and not isinstance(objective, DataObjective):
            raise ConfigError("diffusion.own_states: wants the objective data")
        self.decoder, self.sde, self.objective = decoder, sde, objective
        self.times: Times = build("times", times)
        self.residual_scale, self.drop, self.bf16 = residual_scale, dict(drop), bf16
        self.own_states = own_states

    def loss(
        self,
        x0: Tensor,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        noise: Noise,
        shown: Tensor | None = None,
        z: Tensor | None = None,
    ) -> DiffusionLosses:
        """x0, mu (B, C, F, T), mask bool (B, T) -> losses; mu is detached in path and target.

        shown: the mu that the decoder sees, where it is another one; gradients flow through it.
        z: the noise of the path, where it belongs to this x0; by default drawn.
        """
        keep = _frames(mask, x0)
        shown, mu = mu if shown is None else shown, mu.detach() * keep
        x0 = self._stretched(x0, mu) * keep
        t = self.times.draw(self.sde, noise, x0)
        shown, cond = self._dropped(shown, cond, noise)
        z = (noise(x0) if z is None else z) * keep
        start = x0
        if self.own_states:
            is_own = _uniform(noise, 1, x0)[:, 0] < self.own_states
            own = self._first_guess(mu, shown, cond, mask, noise)
            start = torch.where(per_item(is_own, x0), own, x0)
        mean, sigma = self.sde.marginal(start, mu, t)
        x = mean + per_item(sigma, x0) * z
        answer = self._answer(x, mu, t, shown, cond, mask)
        target = self.objective.target(self.sde, x0, mu, t, z)
        squared = ((answer - target).square() * keep).flatten(1, -2).mean(1)  # (B, T)
        by_item = squared.sum(1) * self.objective.weight(self.sde, t)
        estimate = self._masked(self.objective.estimate(answer, self.sde, x, mu, t), keep)
        estimate.data = self._restored(estimate.data, mu)
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
        shown: Tensor | None = None,
        guides: Sequence[Guide] = (),
        known: Known | None = None,
        windows: Windows | None = None,
    ) -> Tensor:
        """x0 (B, C, F, T) around mu, zero where padded.

        t_start: shallow start, by default from mu noised to there.
        x: the state to begin with instead, e.g. `noised(x0, ...)`.
        noise_scale: standard deviation of the prior's noise, in units of sigma (temperature).
        shown, guides, known, windows: see `loss` and `voicediff.diffusion.guidance`.
        """
        keep = _frames(mask, mu)
        mu, masked_noise = mu * keep, lambda like: noise(like) * keep
        if x is None:
            x = self.sde.prior(mu, masked_noise, noise_scale, t_start)
        if known is not None:
            known = Known(self._stretched(known.x0, mu) * keep, known.where)
        estimate = self.steered(mu, cond, mask, shown, guides, known, windows)
        with torch.no_grad():
            x0 = sampler(
                estimate,
                self.sde,
                mu,
                x=x * keep,
                t_start=t_start,
                noise=masked_noise,
                callback=self._told(callback, mu),
            )
        if known is not None:
            x0 = torch.where(known.where, known.x0, x0)
        return self._restored(x0, mu) * keep

    def guides(self, scales: Mapping[str, float], mu: Tensor, cond: Conditions) -> list[Guide]:
        """Guidance by condition for `sample`, one scale each; 0 leaves the condition unguided.

        `mu` stands for the decoder's view of mu. ConfigError for a condition that training never
        hid (`drop`): the decoder does not know what it is to be without it.
        """
        self.require_walk(None, scales)
        return [
            Guide(scale, cond.without([name]), torch.zeros_like(mu) if name == "mu" else None)
            for name, scale in scales.items()
            if scale
        ]

    def require_walk(self, shallow: float | None, guidance: Mapping[str, float]) -> None:
        """ConfigError where `sample` could not begin at `shallow`, or not be guided like this."""
        low, high = self.sde.t_min, self.sde.t_max
        if shallow is not None and not low < shallow <= high:
            raise ConfigError(
                f"shallow: wants more than {low:g} and at most {high:g}, found {shallow:g}"
            )
        for name in guidance:
            if not self.drop.get(name):
                raise ConfigError(
                    f"guidance.{name}: the model was trained without dropping it; "
                    f"dropped were: {', '.join(self.drop) or 'none'} (task.diffusion.drop)"
                )

    def noised(self, x0: Tensor, mu: Tensor, t: float | Tensor, noise: Noise) -> Tensor:
        """A state x_t of the data x0, to start `sample` from: x0, mu (B, C, F, T), t (B,) or one."""
        mean, sigma = self.sde.marginal(self._stretched(x0, mu), mu, _times_of(t, mu))
        return mean + per_item(sigma, mu) * noise(mu)

    def noise_between(
        self, x0: Tensor, x: Tensor, mu: Tensor, t: float | Tensor | None = None
    ) -> Tensor:
        """The noise with which the data x0 becomes x at t (default t_max); all (B, C, F, T)."""
        at = _times_of(self.sde.t_max if t is None else t, mu)
        return from_data(self._stretched(x0, mu), self.sde, x, mu, at).noise

    def estimate(
        self, x: Tensor, mu: Tensor, t: Tensor, cond: Conditions, mask: Tensor
    ) -> Estimate:
        """What the decoder thinks of x (B, C, F, T) at t (B,), with gradients.

        On the path: with a `residual_scale` its data is the stretched one, as samplers see it.
        """
        answer = self._answer(x, mu, t, mu, cond, mask)
        return self._masked(self.objective.estimate(answer, self.sde, x, mu, t), _frames(mask, x))

    def denoiser(
        self, mu: Tensor, cond: Conditions, mask: Tensor, shown: Tensor | None = None
    ) -> EstimateAt:
        """`estimate(x, t)` for samplers; what does not change over the steps is computed once."""
        shown = mu if shown is None else shown
        keep = _frames(mask, mu)
        with torch.no_grad(), self._autocast(mu):
            prepared = self.decoder.prepare(shown, cond, mask)

        def estimate(x: Tensor, t: Tensor) -> Estimate:
            answer = self._answer(x, mu, t, shown, prepared, mask)
            return self._masked(self.objective.estimate(answer, self.sde, x, mu, t), keep)

        return estimate

    def steered(
        self,
        mu: Tensor,
        cond: Conditions,
        mask: Tensor,
        shown: Tensor | None = None,
        guides: Sequence[Guide] = (),
        known: Known | None = None,
        windows: Windows | None = None,
    ) -> EstimateAt:
        """The `denoiser` with all that `sample` can steer it by."""

        def window(start: int, stop: int) -> EstimateAt:
            def cut(x: Tensor | None) -> Tensor | None:
                return None if x is None else x[..., start:stop]

            def plain(cond: Conditions, shown: Tensor | None) -> EstimateAt:
                return self.denoiser(cut(mu), cond.crop(start, stop), cut(mask), cut(shown))

            poorer = [
                (g.scale, plain(g.cond, shown if g.mu is None else g.mu)) for g in guides if g.scale
            ]
            return guided(plain(cond, shown), poorer)

        if windows is None:
            estimate = window(0, mu.shape[-1])
        else:
            estimate = windowed(window, self.sde, mu, windows)
        return estimate if known is None else inpainted(estimate, self.sde, mu, known)

    @torch.no_grad()
    def _first_guess(
        self, mu: Tensor, shown: Tensor, cond: Conditions, mask: Tensor, noise: Noise
    ) -> Tensor:
        """The data as a walk of one call gives it, stretched."""
        keep, t = _frames(mask, mu), _times_of(self.sde.t_max, mu)
        x = self.sde.prior(mu, lambda like: noise(like) * keep)
        answer = self._answer(x, mu, t, shown, cond, mask)
        return self.objective.estimate(answer, self.sde, x, mu, t).data * keep

    def _answer(
        self, x: Tensor, mu: Tensor, t: Tensor, shown: Tensor, cond: object, mask: Tensor
    ) -> Tensor:
        x_in, time_in = self.objective.inputs(self.sde, x, mu, t)
        with self._autocast(x):
            return self.decoder(x_in, time_in, shown, cond, mask).float()

    def _autocast(self, x: Tensor) -> contextlib.AbstractContextManager:
        return bfloat16(x.device.type, self.bf16)

    def _dropped(self, shown: Tensor, cond: Conditions, noise: Noise) -> tuple[Tensor, Conditions]:
        if not self.drop:
            return shown, cond
        u = _uniform(noise, len(self.drop), shown)
        kept = {name: u[:, i] >= p for i, (name, p) in enumerate(self.drop.items())}
        if "mu" in kept:
            shown = shown * per_item(kept.pop("mu"), shown)
        return shown, cond.kept(kept)

    def _stretched(self, x0: Tensor, mu: Tensor) -> Tensor:
        return x0 if self.residual_scale == 1 else mu + self.residual_scale * (x0 - mu)

    def _restored(self, x0: Tensor, mu: Tensor) -> Tensor:
        return x0 if self.residual_scale == 1 else mu + (x0 - mu) / self.residual_scale

    def _masked(self, estimate: Estimate, keep: Tensor) -> Estimate:
        return Estimate(estimate.data * keep, estimate.noise * keep)

    def _told(self, callback: Callback | None, mu: Tensor) -> Callback | None:
        """The callback with data in the units of x0."""
        if callback is None:
            return None

        def tell(progress: Progress) -> None:
            callback(dataclasses.replace(progress, data=self._restored(progress.data, mu)))

        return tell


def _uniform(noise: Noise, count: int, like: Tensor) -> Tensor:
    """Numbers in [0, 1), (B, count), that follow each item's own noise."""
    return torch.special.ndtr(noise(torch.zeros(len(like), count))).to(like.device)


def _times_of(t: float | Tensor, like: Tensor) -> Tensor:
    """One time, or times (B,), as (B,)."""
    return t if isinstance(t, Tensor) else like.new_full(like.shape[:1], t)


def _frames(mask: Tensor, like: Tensor) -> Tensor:
    """The mask (B, T) as numbers that broadcast over `like` (B, ..., T)."""
    return mask.reshape(len(mask), *(1,) * (like.dim() - 2), -1).to(like.dtype)
