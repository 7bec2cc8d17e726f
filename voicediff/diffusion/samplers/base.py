"""The contract of samplers, and the walk they share."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from voicediff.diffusion.noise import Noise
from voicediff.diffusion.objectives import Estimate
from voicediff.diffusion.samplers.grids import Grid
from voicediff.diffusion.sdes import SDE
from voicediff.errors import ConfigError
from voicediff.registry import build

EstimateAt = Callable[[Tensor, Tensor], Estimate]


@dataclass
class Progress:
    """Where a walk stands: step (from 1) of steps, the time reached, x there, the newest data
    estimate (both like x), and the calls of `estimate` so far."""

    step: int
    steps: int
    t: float
    x: Tensor
    data: Tensor
    calls: int


Callback = Callable[[Progress], None]


@dataclass
class Node:
    """A time of the grid and the process there, as plain numbers from float64.

    log_snr is lambda = log(a / sigma): -inf where a = 0, inf where sigma = 0.
    """

    sde: SDE
    t: float
    a: float
    b: float
    sigma: float
    log_snr: float

    @classmethod
    def all(cls, sde: SDE, times: list[float]) -> list[Node]:
        """The nodes at the times."""
        t = torch.tensor(times, dtype=torch.float64)
        values = [f(t).tolist() for f in (sde.a, sde.b, sde.sigma, sde.log_snr)]
        return [cls(sde, *numbers) for numbers in zip(times, *values, strict=True)]

    @classmethod
    def at(cls, sde: SDE, t: float) -> Node:
        return cls.all(sde, [t])[0]

    @cached_property
    def derivatives(self) -> tuple[float, float, float]:
        """(a', b', sigma')."""
        values = self.sde.derivatives(torch.tensor([self.t], dtype=torch.float64))
        return tuple(self._finite(value.item(), "slope") for value in values)

    @cached_property
    def diffusion(self) -> float:
        """g of the forward SDE."""
        g = self.sde.linear(torch.tensor([self.t], dtype=torch.float64))[2].item()
        return self._finite(g, "diffusion")

    def score(self, thought: Estimate) -> Tensor:
        """-noise / sigma."""
        share = -1 / self.sigma if self.sigma else math.inf
        return self._finite(share, "score") * thought.noise

    def _finite(self, value: float, what: str) -> float:
        if math.isfinite(value):
            return value
        raise ConfigError(
            f"sampler: the {what} of {type(self.sde).__name__} is infinite at t = {self.t:g}; move its "
            "end inwards or take a sampler of a and sigma (ddim, ancestral, dpm_solver, unipc)"
        )

    def velocity(self, thought: Estimate, mu: Tensor) -> Tensor:
        """dx/dt of the probability-flow ODE: a' data + b' mu + sigma' noise."""
        da, db, dsigma = self.derivatives
        flow = da * thought.data + dsigma * thought.noise
        return flow + db * mu if self.sde.centred else flow

    def state(self, data: Tensor, noise: Tensor, mu: Tensor) -> Tensor:
        """x with this data and noise: a data + b mu + sigma noise."""
        x = self.a * data + self.sigma * noise
        return x + self.b * mu if self.sde.centred else x

    def offset(self, x: Tensor, mu: Tensor) -> Tensor:
        """u = x - b mu, the standard path without mean."""
        return x - self.b * mu if self.sde.centred else x


class Walk:
    """One walk down a grid: counts the calls of `estimate` and tells the callback of each step."""

    def __init__(
        self,
        estimate: EstimateAt,
        sde: SDE,
        mu: Tensor,
        times: list[float],
        noise: Noise,
        callback: Callback | None,
    ):
        self.sde, self.mu, self.noise = sde, mu, noise
        self.nodes = Node.all(sde, times)
        self.calls, self.step = 0, 0
        self._estimate, self._callback = estimate, callback
        self._data: Tensor | None = None

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """(from, to) of each step between nodes."""
        return list(zip(self.nodes[:-1], self.nodes[1:], strict=True))

    def estimate(self, x: Tensor, node: Node) -> Estimate:
        """What is thought of x at the node."""
        return self.estimate_at(x, x.new_full(x.shape[:1], node.t))

    def estimate_at(self, x: Tensor, t: Tensor) -> Estimate:
        """What is thought of x at times t (B,)."""
        thought = self._estimate(x, t)
        self.calls += 1
        self._data = thought.data
        return thought

    def report(self, t: float, x: Tensor, steps: int) -> None:
        """Tell the callback that x at t is reached."""
        self.step += 1
        if self._callback:
            data = x if self._data is None else self._data
            self._callback(Progress(self.step, steps, t, x, data, self.calls))


class Sampler(ABC):
    """Walks from x at t_start to the data; knows no network, only `estimate(x, t (B,))`.

    Args:
        steps: what a step is and costs, each sampler says; `nfe` is the sum.
        grid: the times of the steps.
        close: how the path ends: `data`, the last step is the data estimate at t_min (there x still
            holds noise of sigma(t_min)); `none`, x at t_min as it is.
    """

    #: the last time of the grid; None is the process' t_min
    t_end: float | None = None

    def __init__(self, steps: int, grid: Mapping, close: Literal["data", "none"] = "data"):
        if steps < 1:
            raise ConfigError(f"sampler.steps: wants 1 or more, found {steps}")
        self.steps, self.close = steps, close
        self.grid: Grid = build("grid", grid)

    def __call__(
        self,
        estimate: EstimateAt,
        sde: SDE,
        mu: Tensor,
        *,
        x: Tensor,
        t_start: float | None = None,
        noise: Noise,
        callback: Callback | None = None,
    ) -> Tensor:
        """x (B, ...) at time t_start (default t_max) -> x0 like x.

        mu is like x. Items are treated on their own, whatever stands beside them.
        """
        t_start = sde.t_max if t_start is None else t_start
        if not sde.t_min < t_start <= sde.t_max:
            raise ConfigError(
                f"t_start: wants more than {sde.t_min:g} and at most {sde.t_max:g}, found {t_start:g}"
            )
        t_end = sde.t_min if self.t_end is None else self.t_end
        times = self.grid(sde, self.intervals, t_start, t_end).tolist()
        walk = Walk(estimate, sde, mu, times, noise, callback)
        x = self.walk(walk, x)
        return self.finish(walk, x)

    @property
    def intervals(self) -> int:
        """Steps between nodes of the grid; the closing step comes after them."""
        return self.steps - (self.close != "none")

    @abstractmethod
    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        """x at the first node -> x at the last."""

    def finish(self, walk: Walk, x: Tensor) -> Tensor:
        """The closing step from the last node to the data."""
        if self.close == "none":
            return x
        data = walk.estimate(x, walk.nodes[-1]).data
        walk.report(0.0, data, self.steps)
        return data

    @property
    def nfe(self) -> int | None:
        """Calls of `estimate` of a walk; None where the sampler decides on its way."""
        return self.steps

    def with_nfe(self, nfe: int) -> Sampler:
        """The same sampler with as many steps as `nfe` calls allow; its own `nfe` says how many.

        Raises ConfigError where even one step costs more, or the sampler chooses its steps itself.
        """
        other = copy.copy(self)
        other.steps = 1
        if other.nfe is None:
            raise ConfigError(
                f"sampler: {type(self).__name__} chooses its steps itself, not by nfe"
            )
        if other.nfe > nfe:
            raise ConfigError(
                f"sampler: {type(self).__name__} wants {other.nfe} calls at least, found nfe {nfe}"
            )
        while other.nfe <= nfe:
            other.steps += 1
        other.steps -= 1
        return other
