"""F0 compared with the F0 of the recording.

With a vocoder driven by F0 these metrics do not depend on the mel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, cents, median, share
from voicediff.registry import register


def _both_voiced(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """F0 of reference and generated in Hz where both are voiced."""
    a, b = pair.reference.f0.astype(np.float64), pair.generated.f0.astype(np.float64)
    both = (a > 0) & (b > 0)
    return a[both], b[both]


@register("metric", "log_f0_rmse")
class LogF0Error(Metric):
    """Root mean square difference of ln F0 over the frames where both are voiced.

    Pooled over frames. A few octave errors dominate it: an octave error in 1 % of the frames alone
    gives 0.07. Frames that lost their voicing do not count; read it together with `vuv_error`.
    """

    needs = ("f0",)

    def measure(self, pair: Pair) -> tuple[float, int]:
        a, b = _both_voiced(pair)
        return float(np.square(np.log(a / b)).sum()), len(a)

    def pool(self, measured: Sequence[tuple[float, int]]) -> dict[str, float]:
        return {"log_f0_rmse": float(np.sqrt(share(measured)))}


@register("metric", "f0_correlation")
class F0Correlation(Metric):
    """Pearson's correlation of ln F0 over all frames where both are voiced.

    The intervals of the melody, which the score gives, make nearly all of the variance: any
    rendition of the right notes is above 0.95. Only differences between systems are informative.
    """

    needs = ("f0",)

    def measure(self, pair: Pair) -> np.ndarray:
        return np.log(np.stack(_both_voiced(pair)))  # (2, voiced frames)

    def pool(self, measured: Sequence[np.ndarray]) -> dict[str, float]:
        a, b = np.concatenate(measured, axis=1)
        if len(a) < 2 or a.std() == 0 or b.std() == 0:
            return {"f0_correlation": float("nan")}
        return {"f0_correlation": float(np.corrcoef(a, b)[0, 1])}


@register("metric", "vuv_error")
class VoicingError(Metric):
    """Share of frames that are voiced in one rendition and unvoiced in the other, 0 to 1."""

    needs = ("f0",)

    def measure(self, pair: Pair) -> tuple[int, int]:
        wrong = (pair.reference.f0 > 0) != (pair.generated.f0 > 0)
        return int(wrong.sum()), len(wrong)

    def pool(self, measured: Sequence[tuple[int, int]]) -> dict[str, float]:
        return {"vuv_error": share(measured)}


@register("metric", "sung_f0_distance")
class SungF0(Metric):
    """Absolute distance in cents to the F0 of the recording, over frames where both are voiced.

    `sung_f0_distance` is the median, `sung_f0_distance_p90` the 90th percentile. Unlike the
    distance to the score it does not favour a flat F0. The phase of vibrato and the drift of a
    recording cannot be predicted from the notes: a good rendition does not reach 0 either, and the
    mean over all renditions has the smallest distance.
    """

    needs = ("f0",)

    def measure(self, pair: Pair) -> np.ndarray:
        a, b = _both_voiced(pair)
        return np.abs(cents(b, a))

    def pool(self, measured: Sequence[np.ndarray]) -> dict[str, float]:
        found = np.concatenate([np.zeros(0), *measured])
        ninth = float(np.percentile(found, 90)) if len(found) else float("nan")
        return {"sung_f0_distance": median(measured), "sung_f0_distance_p90": ninth}


@register("metric", "gross_pitch_error")
class GrossPitchError(Metric):
    """Share of frames with a wrong pitch, and the error of the others, over frames voiced in both.

    `gross_pitch_error` is the share of frames whose F0 differs by more than `limit` of the
    recording's (Rabiner et al. 1976: octave errors and other notes), `fine_pitch_error` the root
    mean square difference in cents of the frames within it. They separate the two parts of
    `log_f0_rmse`, where a few gross errors hide the fine error.
    """

    needs = ("f0",)

    def __init__(self, limit: float = 0.2):
        self.limit = limit

    def measure(self, pair: Pair) -> tuple[int, int, float]:
        a, b = _both_voiced(pair)
        fine = np.abs(b - a) <= self.limit * a
        return int((~fine).sum()), len(a), float(np.square(cents(b[fine], a[fine])).sum())

    def pool(self, measured: Sequence[tuple[int, int, float]]) -> dict[str, float]:
        fine = [(squares, total - gross) for gross, total, squares in measured]
        return {
            "gross_pitch_error": share([(gross, total) for gross, total, _ in measured]),
            "fine_pitch_error": float(np.sqrt(share(fine))),
        }


@register("metric", "raw_pitch_accuracy")
class RawPitchAccuracy(Metric):
    """Share of the recording's voiced frames whose F0 is within `cents` of it, 0 to 1.

    As in melody extraction (Salamon et al. 2014), but frames that lost their voicing are wrong.
    """

    needs = ("f0",)

    def __init__(self, cents: float = 50.0):
        self.cents = cents

    def measure(self, pair: Pair) -> tuple[int, int]:
        right = np.abs(cents(*_both_voiced(pair))) <= self.cents
        return int(right.sum()), int((pair.reference.f0 > 0).sum())

    def pool(self, measured: Sequence[tuple[int, int]]) -> dict[str, float]:
        return {"raw_pitch_accuracy": share(measured)}


@register("metric", "semitone_accuracy")
class SemitoneAccuracy(Metric):
    """Share of frames, voiced in both, whose F0 rounds to the same semitone as the recording's.

    As in Muskits, but without time warping, because the score fixes the timing. Coarse: for pitches
    half-way between two semitones the result depends on rounding.
    """

    needs = ("f0",)

    def measure(self, pair: Pair) -> tuple[int, int]:
        a, b = (np.round(12 * np.log2(f / 440.0)) for f in _both_voiced(pair))
        return int((a == b).sum()), len(a)

    def pool(self, measured: Sequence[tuple[int, int]]) -> dict[str, float]:
        return {"semitone_accuracy": share(measured)}
