"""Examples of separation: for each speaker the ground truth, the mixture and separated tracks."""

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

RANGE = 70.0  # dB of a spectrogram, below the maximum of the mixture
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
        """One pair for each speaker: the ground truth left, all rows as choices right."""
        pairs = [self._speaker(mixture, number) for number in range(len(mixture.sources))]
        clips = " + ".join(source.clip for source in mixture.sources)
        return Example(f"{KINDS.get(mixture.pair, mixture.pair)}: {mixture.id}", clips, pairs)

    def picture(self, mixture: Mixture) -> Encoded:
        """For each speaker: mixture, predictor (if there is one), final, ground truth."""
        rows = [item.row for item in self.scored]
        shown = [row for row in rows if row.name in (MIXTURE, "predictor")]
        shown += [row for row in (self.chosen.row, self.truth) if row not in shown]
        titles = [heading(row) for row in shown]
        sounds = [
            [row.track(mixture.id, speaker) for row in shown]
            for speaker in range(len(mixture.sources))
        ]
        return spectrograms(sounds, titles)

    def _speaker(self, mixture: Mixture, speaker: int) -> Pair:
        name = f"{mixture.id}, speaker {speaker + 1}"
        clean = self.truth.track(mixture.id, speaker)
        loudest = float(decibels(self._mixture(mixture, speaker)).max())
        left = _clip("Ground truth (clean recording)", f"ground truth, {name}", clean, loudest)
        right = {}
        for item in self.scored:
            gain = item.tracks[f"{mixture.id}_{speaker + 1}"].get("si_sdri")
            title = _track_title(item.row) + (f" (SI-SDRi {gain:+.1f} dB)" if gain else "")
            sound = item.row.track(mixture.id, speaker)
            right[item.row.name] = _clip(title, f"{_track_title(item.row)}, {name}", sound, loudest)
        return Pair(f"Speaker {speaker + 1}: {mixture.sources[speaker].clip}", left, right)

    def _mixture(self, mixture: Mixture, speaker: int) -> np.ndarray:
        row = next(item.row for item in self.scored if item.row.name == MIXTURE)
        return row.track(mixture.id, speaker)


def decibels(sound: np.ndarray) -> np.ndarray:
    """Power spectrum in dB (F, T) of a sound (N,), with the STFT of the networks."""
    spectrum = STFT(exponent=1.0, factor=1.0)(torch.from_numpy(np.ascontiguousarray(sound))[None])
    return 10 * np.log10(spectrum[0].square().sum(0).numpy() + 1e-10)


def spectrograms(sounds: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> Encoded:
    """One line of spectrograms for each speaker; colours span the range of the first, the mixture."""
    high, wide = len(sounds), len(titles)
    figure = Figure(figsize=(3.1 * wide, 2.2 * high), layout="constrained", facecolor="white")
    axes = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    for speaker, (line, tracks) in enumerate(zip(axes, sounds, strict=True), 1):
        loudest = float(decibels(tracks[0]).max())
        for axis, title, sound in zip(line, titles, tracks, strict=True):
            extent = (0, len(sound) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
            axis.imshow(
                decibels(sound), origin="lower", aspect="auto", extent=extent, cmap="magma",
                vmin=loudest - RANGE, vmax=loudest,
            )  # fmt: skip
            if speaker == 1:
                axis.set_title(title, fontsize=10)
        line[0].set_ylabel(f"speaker {speaker}, kHz")
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


def _track_title(row: SeparatedRow) -> str:
    return heading(row) if row.is_reference else f"Separated track: {row.title}"


def heading(row: SeparatedRow) -> str:
    """Title of a row with a capital, for pages and pictures."""
    return row.title[:1].upper() + row.title[1:]
