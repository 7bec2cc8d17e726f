"""Offset between video and audio: where loudness predicted from lips correlates with the mixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Lags = tuple[int, ...]
_SILENCE = -4.0  # log10 power of a speaker without a valid frame


@dataclass(frozen=True)
class Synchrony:
    """Search range of video offsets, and the evidence that an offset requires.

    Times are in frames of 40 ms; evidence is a log-likelihood (nats).

    Attributes:
        max_lag: frames searched in either direction; 0 disables the search.
        lag_penalty: evidence required per speaker and frame of offset, up to two frames.
        separate_lag_penalty: evidence required for each further offset, where speakers have different ones.
        independent_fraction: share of frames that count as independent evidence (loudness changes
            slowly).
    """

    max_lag: int = 0
    lag_penalty: float = 1.0
    separate_lag_penalty: float = 6.0
    independent_fraction: float = 0.7


def estimate_lags(
    predicted: Tensor, measured: Tensor, valid: Tensor, frames: Sequence[int], options: Synchrony
) -> Tensor:
    """Lags (B, S) of a batch, on the CPU; `frames` are the valid frames of each mixture.

    predicted (B, S, T, bands), measured (B, T, bands), valid (B, S, T): see `find_lags`.
    """
    lags = []
    for item, count in enumerate(frames):
        parts = predicted[item, :, :count], measured[item, :count], valid[item, :, :count]
        lags.append(find_lags(*(x.cpu() for x in parts), options))
    return torch.tensor(lags, dtype=torch.long)


def find_lags(predicted: Tensor, measured: Tensor, valid: Tensor, options: Synchrony) -> Lags:
    """The most likely lags of S videos of one recording: frames by which the video is late.

    Args:
        predicted: (S, T, bands) log10 power of each speaker, predicted from the lips.
        measured: (T, bands) log10 power of the mixture.
        valid: (S, T) bool; a speaker without a valid frame has lag 0.

    The sum of the predicted powers is compared with the power of the mixture. A correlation r
    over n frames gives a log-likelihood of -n / 2 log(1 - r^2) in each band. All videos are shifted
    together first, then one at a time until the score does not increase; for two speakers this
    finds the best pair in nearly all cases.
    """
    movable = valid.any(1).tolist()
    predicted = torch.where(valid[..., None], predicted, torch.full_like(predicted, _SILENCE))
    choices = range(-options.max_lag, options.max_lag + 1)

    def score(lags: Lags) -> float:
        distance = sum(min(abs(lag), 2) for lag in lags)
        different = len({lag for lag, known in zip(lags, movable, strict=True) if known})
        penalty = options.lag_penalty * distance + options.separate_lag_penalty * different
        return options.independent_fraction * evidence(predicted, measured, lags) - penalty

    best = _best([tuple(lag if m else 0 for m in movable) for lag in choices], score)
    while True:
        before = best
        for speaker in (s for s, known in enumerate(movable) if known):
            best = _best([(*best[:speaker], lag, *best[speaker + 1 :]) for lag in choices], score)
        if best == before:
            return best


def evidence(predicted: Tensor, measured: Tensor, lags: Sequence[int]) -> float:
    """Log-likelihood (nats) of the mixture's loudness if videos are `lags` frames late."""
    count = predicted.shape[1]
    # the video frame of time t has index t + lag
    first, last = max(0, *(-lag for lag in lags)), min(count, *(count - lag for lag in lags))
    if last - first < 3:
        return 0.0
    aligned = [x[first + lag : last + lag] for x, lag in zip(predicted, lags, strict=True)]
    together = torch.log10((10 ** torch.stack(aligned)).sum(0))
    correlation = _squared_correlation(together, measured[first:last])
    return float((last - first) / 2 * -(1 - correlation).log().sum())


def shifted(video: Tensor, lags: Sequence[int]) -> Tensor:
    """Videos (S, T, ...) moved to `lags` frames earlier; zeros (not valid) where no frame is left."""
    out = torch.zeros_like(video)
    count = video.shape[1]
    for speaker, lag in enumerate(lags):
        first, last = max(0, -lag), min(count, count - lag)
        if first < last:
            out[speaker, first:last] = video[speaker, first + lag : last + lag]
    return out


def _squared_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Squared correlation over time (T, bands) -> (bands,); 0 where it is negative."""
    a, b = a - a.mean(0), b - b.mean(0)
    r = (a * b).sum(0) / (a.square().sum(0) * b.square().sum(0) + 1e-12).sqrt()
    return r.clamp(0, 0.99).square()


def _best(candidates: list[Lags], score: Callable[[Lags], float]) -> Lags:
    """The candidate of the highest score; of equal ones that with the smallest offsets."""
    return max(sorted(set(candidates), key=lambda lags: sum(map(abs, lags))), key=score)
