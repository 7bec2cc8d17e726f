"""Shared by exponential integrators: exact linear part, polynomials for the data estimate.

With u = x - b mu and lambda = log(a / sigma) the probability-flow ODE is solved by

    u_t = (sigma_t / sigma_s) u_s + a_t int_{lambda_s}^{lambda_t} e^{-(lambda_t - l)} data(l) dl
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from voicediff.diffusion.samplers.base import Node


def transfer(x: Tensor, mu: Tensor, here: Node, there: Node, increment: Tensor) -> Tensor:
    """x at `there` from x at `here`; `increment` is the integral above, like x."""
    ratio = there.sigma / here.sigma if here.sigma > 0 else 0.0
    u = ratio * here.offset(x, mu) + there.a * increment
    return u + there.b * mu if there.sde.centred else u


def constant_integral(here: Node, there: Node) -> float:
    """The integral of e^{-(lambda_t - l)} alone: 1 - e^{-h}."""
    return -math.expm1(here.log_snr - there.log_snr)


def polynomial_integrals(log_snr: Sequence[float], start: float, stop: float) -> np.ndarray:
    """Weights w with sum_j w_j D(log_snr_j) = int_start^stop e^{-(stop - l)} D(l) dl for polynomials D
    of degree below len(log_snr)."""
    h, offsets = stop - start, np.asarray(log_snr) - start
    moments = [-math.expm1(-h)]  # of (l - start)^k / k!
    for k in range(1, len(log_snr)):
        moments.append(h**k / math.factorial(k) - moments[-1])
    powers = [offsets**k / math.factorial(k) for k in range(len(log_snr))]
    return np.linalg.solve(np.stack(powers), np.array(moments))
