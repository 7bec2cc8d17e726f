"""Interface of the metrics of singing: one measurement for each pair, pooled over a corpus."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from voicediff.audio import MelSpec, f0_and_periodicity, log_mel
from voicediff.errors import DataError
from voicediff.music.score import Score

TOLERANCE = 4  # frames by which two renditions of one line may differ in length


@dataclass(frozen=True)
class Item:
    """One rendition of one line; unknown features are None.

    Attributes:
        mel: log-mel (F, T) predicted by the model; for a recording, its own log-mel.
        wav: waveform (N,).
        f0: (T,) in Hz, 0 where unvoiced; by default measured from `wav`.
        periodicity: (T,) from 0 to 1; by default measured from `wav`.
        wav_mel: log-mel (F, T) measured on `wav`, i.e. after the vocoder.
        score: the notes; time 0 is the first sample.
    """

    mel: np.ndarray | None = None
    wav: np.ndarray | None = None
    f0: np.ndarray | None = None
    wav_mel: np.ndarray | None = None
    score: Score | None = None
    periodicity: np.ndarray | None = None

    def prepared(self, spec: MelSpec) -> Item:
        """The item with the missing features measured or derived from the known ones."""
        wav_mel, pitch, periodicity = self.wav_mel, self.f0, self.periodicity
        if self.wav is not None:
            wav = np.ascontiguousarray(self.wav, np.float32)
            if wav_mel is None:
                wav_mel = log_mel(torch.from_numpy(wav), spec).numpy()
            if pitch is None or periodicity is None:
                found, periodicity = f0_and_periodicity(
                    wav, spec.sample_rate, spec.hop, *self._range()
                )
                pitch = found if pitch is None else pitch
        mel = wav_mel if self.mel is None else self.mel
        wav_mel = mel if wav_mel is None else wav_mel
        return replace(self, mel=mel, wav_mel=wav_mel, f0=pitch, periodicity=periodicity)

    def _range(self) -> tuple[float, float]:
        """F0 search range in Hz: 60 to 1200, extended where the notes need it."""
        pitches = [note.pitch for note in self.score.notes] if self.score else []
        hz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
        return min([60.0, *(x / 1.5 for x in hz)]), max([1200.0, *(x * 1.5 for x in hz)])

    @property
    def frames(self) -> int:
        """Number of frames that all known features have."""
        known = (self.mel, self.wav_mel, self.f0)
        return min((x.shape[-1] for x in known if x is not None), default=0)

    def cut(self, frames: int, hop: int) -> Item:
        """The first `frames` frames."""
        by_frame = (self.mel, self.wav_mel, self.f0, self.periodicity)
        mel, wav_mel, pitch, periodicity = (
            None if x is None else x[..., :frames] for x in by_frame
        )
        wav = None if self.wav is None else self.wav[: frames * hop]
        return replace(self, mel=mel, wav_mel=wav_mel, f0=pitch, periodicity=periodicity, wav=wav)


@dataclass(frozen=True)
class Pair:
    """A recording and a rendition of the same line, with the same number of frames."""

    reference: Item
    generated: Item
    spec: MelSpec
    name: str = ""

    @classmethod
    def of(cls, reference: Item, generated: Item, spec: MelSpec, name: str = "") -> Pair:
        """Prepare two items and cut them to their common length.

        Raises DataError where their lengths differ by more than TOLERANCE frames.
        """
        reference, generated = reference.prepared(spec), generated.prepared(spec)
        counts = reference.frames, generated.frames
        if min(counts) == 0 or max(counts) - min(counts) > TOLERANCE:
            raise DataError(
                f"{name or 'scoring'}: the recording has {counts[0]} frames, the rendition "
                f"{counts[1]}; decode again"
            )
        frames = min(counts)
        return cls(reference.cut(frames, spec.hop), generated.cut(frames, spec.hop), spec, name)

    @property
    def score(self) -> Score | None:
        return self.reference.score or self.generated.score

    @property
    def times(self) -> np.ndarray:
        """Times of the frame centres in seconds, (T,)."""
        frames = self.generated.frames
        return (np.arange(frames) + 0.5) / self.spec.frame_rate

    def has(self, names: Sequence[str]) -> bool:
        """Whether both items have the named features (`score`: whether one of them has it)."""
        return all(
            self.score is not None
            if name == "score"
            else getattr(self.reference, name) is not None
            and getattr(self.generated, name) is not None
            for name in names
        )


class Metric(ABC):
    """Base class. `measure` evaluates one pair, `pool` computes figures from all measurements.

    The type of a measurement is private to the metric; it must be picklable. Figures are pooled
    over frames or notes, as the metric is defined, so a corpus figure is not a mean of means.
    """

    #: features of both items without which a pair cannot be measured
    needs: tuple[str, ...] = ("mel",)
    #: whether the figure of a single line is meaningful
    by_line: bool = True

    @abstractmethod
    def measure(self, pair: Pair) -> Any:
        """The measurement of one pair."""

    @abstractmethod
    def pool(self, measured: Sequence[Any]) -> dict[str, float]:
        """Figures by name; nan where nothing could be measured."""


def share(measured: Sequence[tuple[float, float]]) -> float:
    """Sum of the first numbers divided by the sum of the second; nan without measurements."""
    top, bottom = np.sum(np.asarray(measured, float).reshape(-1, 2), axis=0)
    return float(top / bottom) if bottom else float("nan")


def median(measured: Sequence[np.ndarray]) -> float:
    """Median over all values; nan without values."""
    values = np.concatenate([np.zeros(0), *measured])
    return float(np.median(values)) if len(values) else float("nan")


def cents(f0: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Interval in cents from `other` to `f0`, both above 0 Hz."""
    return 1200 * np.log2(f0 / other)
