"""Examples of separation: each voice as it was, as it was mixed, and as the model heard it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicediff.audio import STFT
from voicediff.data.separation.mixtures import Mixture
from voicediff.report.page import Clip, Example, Pair
from voicediff.report.picture import Picture, spectrogram_image
from voicediff.report.separation_metrics import KINDS, ScoredRow
from voicediff.report.separation_rows import MIXTURE, SeparatedRow
from voicediff.report.sound import Encoded
from voicediff.video.constants import SAMPLE_RATE

RANGE = 70.0  # dB of a picture, below the loudest place of the mixture
TICKS = (1000, 2000, 4000, 6000)  # Hz


def one_of_each_kind(mixtures: Sequence[Mixture], count: int) -> list[Mixture]:
    """The first mixtures of each kind of pair in turn, up to `count`."""
    kinds: dict[str, list[Mixture]] = {}
    for mixture in mixtures:
        kinds.setdefault(mixture.pair, []).append(mixture)
    turns = max(map(len, kinds.values()), default=0)
    order = [group[i] for i in range(turns) for group in kinds.values() if i < len(group)]
    return order[:count]


@dataclass
class MixtureExamples:
    """Makes examples and pictures from scored rows.

    Attributes:
        scored: all rows but the truth's.
        chosen: the row that pictures show as the final one.
    """

    truth: SeparatedRow
    scored: Sequence[ScoredRow]
    chosen: ScoredRow

    def example(self, mixture: Mixture) -> Example:
        """One pair for each voice: the truth left, all rows to choose from right."""
        pairs = [self._voice(mixture, voice) for voice in range(len(mixture.sources))]
        clips = " + ".join(source.clip for source in mixture.sources)
        return Example(f"{KINDS.get(mixture.pair, mixture.pair)}: {mixture.id}", clips, pairs)

    def picture(self, mixture: Mixture) -> Encoded:
        """Of each voice: mixture, predictor (where there is one), final, ground truth."""
        rows = [item.row for item in self.scored]
        shown = [row for row in rows if row.name in (MIXTURE, "predictor")]
        shown += [row for row in (self.chosen.row, self.truth) if row not in shown]
        titles = [_heading(row) for row in shown]
        sounds = [
            [row.track(mixture.id, voice) for row in shown] for voice in range(len(mixture.sources))
        ]
        return spectrograms(sounds, titles)

    def _voice(self, mixture: Mixture, voice: int) -> Pair:
        name = f"{mixture.id}, voice {voice + 1}"
        clean = self.truth.track(mixture.id, voice)
        loudest = float(decibels(self._mixture(mixture, voice)).max())
        left = _clip("Ground truth", f"ground truth, {name}", clean, loudest)
        right = {}
        for item in self.scored:
            gain = item.tracks[f"{mixture.id}_{voice + 1}"].get("si_sdri")
            title = _heading(item.row) + (f" ({gain:+.1f} dB)" if gain else "")
            sound = item.row.track(mixture.id, voice)
            right[item.row.name] = _clip(title, f"{item.row.title}, {name}", sound, loudest)
        return Pair(f"Voice {voice + 1}: {mixture.sources[voice].clip}", left, right)

    def _mixture(self, mixture: Mixture, voice: int) -> np.ndarray:
        row = next(item.row for item in self.scored if item.row.name == MIXTURE)
        return row.track(mixture.id, voice)


def decibels(sound: np.ndarray) -> np.ndarray:
    """Power spectrum in dB (F, T) of a sound (N,), as the networks' transform sees it."""
    spectrum = STFT(exponent=1.0, factor=1.0)(torch.from_numpy(np.ascontiguousarray(sound))[None])
    return 10 * np.log10(spectrum[0].square().sum(0).numpy() + 1e-10)


def spectrograms(sounds: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> Encoded:
    """A slide: one line of spectrograms for each voice, in the colours of the first, the mixture."""
    high, wide = len(sounds), len(titles)
    figure = Figure(figsize=(3.1 * wide, 2.2 * high), layout="constrained", facecolor="white")
    axes = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    for voice, (line, tracks) in enumerate(zip(axes, sounds, strict=True), 1):
        loudest = float(decibels(tracks[0]).max())
        for axis, title, sound in zip(line, titles, tracks, strict=True):
            extent = (0, len(sound) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
            axis.imshow(
                decibels(sound), origin="lower", aspect="auto", extent=extent, cmap="magma",
                vmin=loudest - RANGE, vmax=loudest,
            )  # fmt: skip
            if voice == 1:
                axis.set_title(title, fontsize=10)
        line[0].set_ylabel(f"voice {voice}, kHz")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return Encoded(file.getvalue(), "image/png")


def _clip(title: str, label: str, sound: np.ndarray, loudest: float) -> Clip:
    image = spectrogram_image(decibels(sound), loudest - RANGE, loudest)
    picture = Picture(len(sound) / SAMPLE_RATE, f"spectrogram: {label}")
    picture.spectrogram(image, [(2 * hz / SAMPLE_RATE, f"{hz // 1000}k") for hz in TICKS])
    return Clip(title, label, sound, SAMPLE_RATE, picture.svg())


def _heading(row: SeparatedRow) -> str:
    return row.title[:1].upper() + row.title[1:]
