"""Euler-Maruyama."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from voicediff.diffusion.objectives import Estimate
from voicediff.diffusion.samplers.base import Node, Sampler, Walk
from voicediff.registry import Spec, register


@register("sampler", "euler_maruyama")
class EulerMaruyama(Sampler):
    """Euler-Maruyama on the reverse SDE (Song et al. 2021, Eq. 6): first order; forgets early errors.

    A step costs one call.

    midtime: Grad-TTS' stochastic sampler: as `euler` with `midtime`.
    """

    def __init__(
        self,
        steps: int = 100,
        grid: Spec = {"name": "uniform"},  # noqa: B006
        midtime: bool = False,
        close: Literal["data", "none"] = "data",
    ):
        super().__init__(steps, grid, "none" if midtime else close)
        self.midtime = midtime
        self.t_end = 0.0 if midtime else None

    def walk(self, walk: Walk, x: Tensor) -> Tensor:
        for here, there in walk.pairs:
            at = Node.at(walk.sde, (here.t + there.t) / 2) if self.midtime else here
            h = here.t - there.t
            x = x - h * reverse_drift(at, walk.estimate(x, at), walk.mu)
            x = x + at.diffusion * math.sqrt(h) * walk.noise(x)
            walk.report(there.t, x, self.steps)
        return x


def reverse_drift(node: Node, thought: Estimate, mu: Tensor) -> Tensor:
    """f - g^2 score of the reverse SDE: the flow's velocity - g^2 score / 2."""
    return node.velocity(thought, mu) - node.diffusion**2 / 2 * node.score(thought)
