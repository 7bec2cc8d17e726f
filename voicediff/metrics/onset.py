"""Timing error of syllable onsets against the recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair, median
from voicediff.registry import register


@register("metric", "onset_error")
class OnsetError(Metric):
    """Median over syllables of the absolute onset time difference in seconds.

    The rise of the waveform's log-mel (positive frame differences, mean over bins) is compared in
    `reach` seconds around the written onset. The error is the delay of at most half of `reach` at
    which rendition and recording correlate best, interpolated by a parabola. Syllables without a
    clear maximum count with the longest delay. Slurred notes have no onset. The score's times are
    no reference: singers place consonants before the note.
    """

    needs = ("wav_mel", "score")

    def __init__(self, reach: float = 0.16):
        self.reach = reach

    def measure(self, pair: Pair) -> np.ndarray:
        rate = pair.spec.frame_rate
        reach = round(self.reach * rate)
        reference, generated = (
            np.pad(_rise(x.wav_mel), (2 * reach, 2 * reach + 1))
            for x in (pair.reference, pair.generated)
        )
        errors = []
        for note in pair.score.notes:
            frame = int(note.start * rate)
            if note.slur or not 0 <= frame < pair.generated.frames:
                continue
            middle = frame + 2 * reach
            template = reference[middle - reach : middle + reach + 1]
            searched = generated[middle - reach - reach // 2 : middle + reach + reach // 2 + 1]
            errors.append(abs(_delay(template, searched)) / rate)
        return np.array(errors)

    def pool(self, measured: Sequence[np.ndarray]) -> dict[str, float]:
        return {"onset_error": median(measured)}


def _rise(mel: np.ndarray) -> np.ndarray:
    """Increase of each frame over the previous one, (T,)."""
    mel = np.maximum(mel.astype(np.float64), mel.max() - 9)  # 80 dB: softer sounds are inaudible
    rise = np.maximum(np.diff(mel, axis=1, prepend=mel[:, :1]), 0).mean(0)
    return np.convolve(rise, [0.25, 0.5, 0.25], "same")


def _delay(template: np.ndarray, searched: np.ndarray) -> float:
    """Frames by which `searched`, longer by the same on both sides, lags behind `template`."""
    windows = np.lib.stride_tricks.sliding_window_view(searched, len(template))
    middle = len(windows) // 2
    a = template - template.mean()
    b = windows - windows.mean(1, keepdims=True)
    scale = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    correlation = np.where(scale > 1e-9, b @ a / np.maximum(scale, 1e-9), -1.0)
    best = int(correlation.argmax())
    if not 0 < best < len(windows) - 1:
        return float(middle)
    left, top, right = correlation[best - 1 : best + 2]
    curve = left - 2 * top + right
    return best - middle + (0.5 * (left - right) / curve if curve < 0 else 0.0)
