"""By how much a video is early or late: where what lips tell of loudness fits what is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Lags = tuple[int, ...]
_NOTHING = -4.0  # log10 of the power of who is not seen


@dataclass(frozen=True)
class Synchrony:
    """How far videos may be off, and how much must speak for it.

    Times are in frames of 40 ms; evidence is a log-likelihood (nats).

    Attributes:
        max_lag: frames searched on either side; 0 takes videos as they are.
        lag_penalty: evidence that a voice's video needs for each frame away from 0, up to two frames.
        separate_lag_penalty: evidence needed for each further lag, where voices do not share one.
        independent_fraction: share of frames that count as independent evidence (loudness changes slowly).
    """

    max_lag: int = 0
    lag_penalty: float = 1.0
    separate_lag_penalty: float = 6.0
    independent_fraction: float = 0.7


def find_lags(told: Tensor, heard: Tensor, seen: Tensor, options: Synchrony) -> Lags:
    """The likeliest lags of S videos in one recording: frames by which pictures come late.

    Args:
        told: (S, T, bands) log10 power of each voice as its lips tell it.
        heard: (T, bands) log10 power of what all say together.
        seen: (S, T) bool; a voice that is never seen has lag 0.

    The powers told add up to one of the mixture, and correlation r between both over n frames
    speaks with -n / 2 log(1 - r^2) in each band. Voices are moved together first, then one by one
    until nothing is gained: with two voices that finds the best pair nearly always.
    """
    movable = seen.any(1).tolist()
    told = torch.where(seen[..., None], told, torch.full_like(told, _NOTHING))
    choices = range(-options.max_lag, options.max_lag + 1)

    def gain(lags: Lags) -> float:
        distance = sum(min(abs(lag), 2) for lag in lags)
        kinds = len({lag for lag, known in zip(lags, movable, strict=True) if known})
        doubt = options.lag_penalty * distance + options.separate_lag_penalty * kinds
        return options.independent_fraction * evidence(told, heard, lags) - doubt

    best = _best([tuple(lag if m else 0 for m in movable) for lag in choices], gain)
    while True:
        before = best
        for voice in (v for v, known in enumerate(movable) if known):
            best = _best([(*best[:voice], lag, *best[voice + 1 :]) for lag in choices], gain)
        if best == before:
            return best


def evidence(told: Tensor, heard: Tensor, lags: Sequence[int]) -> float:
    """How well the mixture's loudness is explained if pictures come `lags` frames late, in nats."""
    count = told.shape[1]
    # the picture of moment t stands at t + lag
    first, last = max(0, *(-lag for lag in lags)), min(count, *(count - lag for lag in lags))
    if last - first < 3:
        return 0.0
    aligned = [voice[first + lag : last + lag] for voice, lag in zip(told, lags, strict=True)]
    together = torch.log10((10 ** torch.stack(aligned)).sum(0))
    return float((last - first) / 2 * -(1 - _correlation(together, heard[first:last])).log().sum())


def moved(video: Tensor, lags: Sequence[int]) -> Tensor:
    """Videos (S, T, ...) with each picture where it belongs; zeros (not seen) where none is left."""
    out = torch.zeros_like(video)
    count = video.shape[1]
    for voice, lag in enumerate(lags):
        first, last = max(0, -lag), min(count, count - lag)
        if first < last:
            out[voice, first:last] = video[voice, first + lag : last + lag]
    return out


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Squared correlation over time (T, bands) -> (bands,); 0 where it is negative."""
    a, b = a - a.mean(0), b - b.mean(0)
    r = (a * b).sum(0) / (a.square().sum(0) * b.square().sum(0) + 1e-12).sqrt()
    return r.clamp(0, 0.99).square()


def _best(candidates: list[Lags], gain: Callable[[Lags], float]) -> Lags:
    """The first of the best; candidates near 0 come first."""
    return max(sorted(set(candidates), key=lambda lags: sum(map(abs, lags))), key=gain)
