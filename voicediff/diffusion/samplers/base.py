"""The interface of samplers, and the loop over a time grid that they share."""

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
    """State of a sampling run, as passed to a callback after every step.

    step (from 1) of steps; t: the time reached; x: the state there; data: the newest data estimate
    (both like x); nfe: network evaluations so far.
    """

    step: int
    steps: int
    t: float
    x: Tensor
    data: Tensor
    nfe: int


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
        """One node per time."""
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

    def score(self, predicted: Estimate) -> Tensor:
        """-noise / sigma."""
        share = -1 / self.sigma if self.sigma else math.inf
        return self._finite(share, "score") * predicted.noise

    def _finite(self, value: float, what: str) -> float:
        if math.isfinite(value):
            return value
        raise ConfigError(
            f"sampler: the {what} of {type(self.sde).__name__} is infinite at t = {self.t:g}; move this "
            "end of the path inwards or use a sampler without derivatives (ddim, ancestral, "
            "dpm_solver, unipc)"
        )

    def velocity(self, predicted: Estimate, mu: Tensor) -> Tensor:
        """dx/dt of the probability-flow ODE: a' data + b' mu + sigma' noise."""
        da, db, dsigma = self.derivatives
        flow = da * predicted.data + dsigma * predicted.noise
        return flow + db * mu if self.sde.centred else flow

    def state(self, data: Tensor, noise: Tensor, mu: Tensor) -> Tensor:
        """x = a data + b mu + sigma noise."""
        x = self.a * data + self.sigma * noise
        return x + self.b * mu if self.sde.centred else x

    def offset(self, x: Tensor, mu: Tensor) -> Tensor:
        """u = x - b mu: the state of the path without a mean."""
        return x - self.b * mu if self.sde.centred else x


class SamplingRun:
    """One sampling run over a grid: counts NFE and reports every step to the callback."""

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
        self.nfe, self.step = 0, 0
        self._estimate, self._callback = estimate, callback
        self._data: Tensor | None = None

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """(from, to) of each step between nodes."""
        return list(zip(self.nodes[:-1], self.nodes[1:], strict=True))

    def estimate(self, x: Tensor, node: Node) -> Estimate:
        """Data and noise estimated from x at the node."""
        return self.estimate_at(x, x.new_full(x.shape[:1], node.t))

    def estimate_at(self, x: Tensor, t: Tensor) -> Estimate:
        """Data and noise estimated from x at times t (B,)."""
        predicted = self._estimate(x, t)
        self.nfe += 1
        self._data = predicted.data
        return predicted

    def report(self, t: float, x: Tensor, steps: int) -> None:
        """Call the callback with the state x reached at t."""
        self.step += 1
        if self._callback:
            data = x if self._data is None else self._data
            self._callback(Progress(self.step, steps, t, x, data, self.nfe))


class Sampler(ABC):
    """A solver of the reverse process from t_start to the data.

    It is independent of the network: all it gets is a function `estimate(x, t)`, t (B,), which
    returns the data and noise contained in x.

    Args:
        steps: number of steps; the evaluations per step depend on the sampler, `nfe` is their sum.
        grid: the times of the steps, a part of kind `grid`.
        close: how sampling ends: `data`, the last step returns the data estimate at t_min (x there
            still holds noise of sigma(t_min)); `none`, x at t_min is returned as it is.
    """

    #: last time of the grid; None is t_min of the process
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

        mu is like x. The result of an item does not depend on the other items of the batch.
        ConfigError where t_start lies outside the path.
        """
        t_start = sde.t_max if t_start is None else t_start
        if not sde.t_min < t_start <= sde.t_max:
            raise ConfigError(
                f"t_start: must be above {sde.t_min:g} and at most {sde.t_max:g}, found {t_start:g}"
            )
        t_end = sde.t_min if self.t_end is None else self.t_end
        times = self.grid(sde, self.intervals, t_start, t_end).tolist()
        run = SamplingRun(estimate, sde, mu, times, noise, callback)
        x = self.solve(run, x)
        return self.finish(run, x)

    @property
    def intervals(self) -> int:
        """Steps between nodes of the grid, without the closing step."""
        return self.steps - (self.close != "none")

    @abstractmethod
    def solve(self, run: SamplingRun, x: Tensor) -> Tensor:
        """x at the first node -> x at the last node."""

    def finish(self, run: SamplingRun, x: Tensor) -> Tensor:
        """The closing step from the last node to the data."""
        if self.close == "none":
            return x
        data = run.estimate(x, run.nodes[-1]).data
        run.report(0.0, data, self.steps)
        return data

    @property
    def nfe(self) -> int | None:
        """Network evaluations of one run (NFE); None for adaptive samplers."""
        return self.steps

    def with_nfe(self, nfe: int) -> Sampler:
        """A copy with the largest number of steps whose NFE is at most `nfe`.

        The `nfe` of the copy can be smaller. Raises ConfigError where one step already needs more,
        and for adaptive samplers.

        >>> build("sampler", {"name": "heun"}).with_nfe(10).nfe
        9
        """
        other = copy.copy(self)
        other.steps = 1
        if other.nfe is None:
            raise ConfigError(
                f"sampler: {type(self).__name__} is adaptive; it takes no number of evaluations"
            )
        if other.nfe > nfe:
            raise ConfigError(
                f"sampler: {type(self).__name__} needs at least nfe {other.nfe}, found {nfe}"
            )
        while other.nfe <= nfe:
            other.steps += 1
        other.steps -= 1
        return other
