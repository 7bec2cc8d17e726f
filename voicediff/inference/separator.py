"""A separation model as one object: a video in, one track per person out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voicediff import experiment
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.experiment import Experiment
from voicediff.inference.separation import Piece, Scene, SceneSeparator
from voicediff.inference.speakers import FaceSearch, scene_of
from voicediff.inference.talk import Progress, Speaker, Talk
from voicediff.metrics.duplicates import TrackSimilarity
from voicediff.registry import build
from voicediff.report.people import SeparatedPerson
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.constants import HOP, SAMPLE_RATE
from voicediff.video.disk_array import DiskArray
from voicediff.video.footage import Footage, open_footage
from voicediff.video.people import Person

_DOUBTFUL = 0.5  # a face detected in a smaller share of the examined frames may be none


class Separator:
    """A trained separation model (task `avss`); `voicediff.load` makes it.

    Raises ConfigError where the experiment is of another task.
    """

    def __init__(self, loaded: Experiment):
        if not isinstance(loaded.task, SpeechSeparation):
            name = loaded.config.task["name"]
            raise ConfigError(
                f"{loaded.folder}: separates nothing (task avss is needed, found {name})"
            )
        self.experiment = loaded
        self.task = loaded.task

    @classmethod
    def load(cls, folder: str | Path, device: str | None = None) -> Separator:
        """The model of an experiment folder; see `voicediff.load`."""
        return cls(experiment.load(folder, device=device))

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return SAMPLE_RATE

    def __repr__(self) -> str:
        return f"Separator({str(self.experiment.folder)!r}, {self.sample_rate} Hz)"

    def separate(
        self,
        recording: str | Path,
        *,
        boxes: str | Path | None = None,
        faces: Sequence[str | Path] = (),
        people: int | None = None,
        yunet: str | Path | None = None,
        min_face: float = 0.12,
        start: float = 0.0,
        end: float | None = None,
        steps: int | None = None,
        sampler: str | Mapping[str, Any] | None = None,
        noise_scale: float | None = None,
        samples: int | None = None,
        share_residual: bool = False,
        keep_unseen: bool = False,
        ambiguity_threshold: float | None = None,
        synchronise: bool = True,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Talk:
        """Find the people of a recording and separate their speech.

        Args:
            recording: a video, or a sound file with `faces`.
            boxes: JSON or CSV file of face boxes; no faces are searched then.
            faces: pictures of people who speak but are not visible.
            people: how many people are visible; None: as many as are found.
            yunet: YuNet's model file; None uses OpenCV's Haar cascade.
            min_face: smallest face, as a share of the image's shorter side.
            start, end: seconds of the part to separate.
            steps: number of network evaluations (NFE); 0 takes the predictor alone, None the
                sampler's own number.
            sampler: name or `{"name": ..., options}`; None takes the experiment's.
            noise_scale: standard deviation of the noise; None takes the model's.
            samples: posterior samples from which the confidence is estimated; None takes 2 where
                the model has a generator.
            share_residual: split what the tracks leave of the mixture among the people in
                proportion to their energy (Wisdom et al. 2019, Eq. 7).
            keep_unseen: keep tracks while the person is not visible.
            ambiguity_threshold: in [0, 1]; tracks that differ by less than this share of their
                energy are ambiguous, and each gets some of what the mixture holds of both; 0: no
                track is ambiguous, None takes the model's.
            synchronise: correct a constant offset of the video.
            seed: of the noise.
            progress: called with (phase, seconds since the last call, seconds in all).

        Raises DataError for a recording that cannot be used, ConfigError for options that are not
        possible.
        """
        search = FaceSearch(boxes, tuple(faces), people, yunet, min_face)
        if start < 0 or (end is not None and end <= start):
            raise ConfigError(f"start {start:g}, end {end}: nothing lies between")
        chain = self._sampler(sampler, steps, samples)
        count = 1 if chain is None else samples or 2
        report = progress or _no_progress
        footage = open_footage(recording, start, end)
        with _Threshold(self.task, ambiguity_threshold):
            scene, persons = scene_of(footage, search, start, keep_unseen, report)
            scenes = SceneSeparator(
                self.task, chain, seed, noise_scale, share_residual=share_residual,
                samples=count, synchronise=synchronise,
                progress=lambda seconds: report("separating", seconds, footage.seconds),
            )  # fmt: skip
            tracks, similarity = _separated(scenes, scene, len(persons))
        same = [(persons[i].name, persons[j].name, level) for i, j, level in similarity.same()]
        warnings = self._warnings(footage, search, persons, same)
        speakers = [
            Speaker(_entry(number, person, scenes, footage, start), track)
            for number, (person, track) in enumerate(zip(persons, tracks[:-1], strict=True))
        ]
        folder = self.experiment.folder
        return Talk(speakers, tracks[-1], warnings, same, footage, folder, seed, start)

    def _sampler(
        self, name: str | Mapping[str, Any] | None, steps: int | None, samples: int | None
    ) -> Sampler | None:
        """None for the predictor alone. Raises ConfigError for what the model cannot do."""
        for option, value, least in (("steps (--nfe)", steps, 0), ("samples", samples, 1)):
            if value is not None and value < least:
                raise ConfigError(f"{option}: expected {least} or more, found {value}")
        if steps == 0 or self.task.diffusion is None:
            self._require_predictor(steps, samples)
            return None
        spec = {"name": name} if isinstance(name, str) else name or self.experiment.sampler
        if not spec:
            raise ConfigError(f"{self.experiment.folder}: names no sampler; give one")
        sampler: Sampler = build("sampler", spec, at="sampler")
        return sampler if steps is None else sampler.with_nfe(steps)

    def _require_predictor(self, steps: int | None, samples: int | None) -> None:
        if self.task.predictor is None:
            raise ConfigError(f"0 steps (--nfe 0): {self.experiment.folder} has no predictor")
        if steps or samples not in (None, 1):
            wanted = f"{steps} steps" if steps else f"{samples} samples"
            raise ConfigError(
                f"{wanted}: needs a generator; the predictor's estimate is always the same"
            )

    def _warnings(
        self,
        footage: Footage,
        search: FaceSearch,
        people: list[Person],
        same: list[tuple[str, str, float]],
    ) -> list[str]:
        lines, model = [], self.experiment.folder
        visible = [person for person in people if len(person.face.valid)]
        if search.pictures and self.task.identity is None:
            lines.append(f"{model} has no identity encoder: pictures cannot tell speakers apart")
        if footage.moving and self.task.lips is None:
            lines.append(f"{model} has no lip encoder: the video cannot tell speakers apart")
        if search.count and len(visible) < search.count:
            lines.append(f"{search.count} people asked for, {len(visible)} found")
        lines += [f"{trouble}; the rest was separated" for trouble in footage.troubles]
        lines += [
            f"{one} and {other} have nearly the same track (SI-SDR {level:.1f} dB between them): "
            "the model cannot tell them apart, or they are one person"
            for one, other, level in same
        ]
        lines += [
            f"{person.name}: the face was detected in {person.detection_rate:.0%} of the examined frames; "
            "if it is none, give the number of people (--people) or their boxes (--boxes)"
            for person in visible
            if person.detection_rate < _DOUBTFUL
        ]
        return lines


class _Threshold:
    """Another ambiguity threshold of a model, for a time."""

    def __init__(self, task: SpeechSeparation, value: float | None):
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"ambiguity-threshold: expected a share from 0 to 1, found {value:g}")
        self.task, self.value = task, value

    def __enter__(self) -> None:
        self.usual = self.task.ambiguity_threshold
        if self.value is not None:
            self.task.ambiguity_threshold = self.value

    def __exit__(self, *error: object) -> None:
        self.task.ambiguity_threshold = self.usual


def _separated(
    scenes: SceneSeparator, scene: Scene, people: int
) -> tuple[list[DiskArray], TrackSimilarity]:
    """The tracks and the residual on disk, and how alike the tracks are."""
    similarity = TrackSimilarity(people, SAMPLE_RATE)
    tracks = [DiskArray((), np.float32) for _ in range(people + 1)]
    for piece in _compared(scenes.pieces(scene), scene, similarity):
        for track, samples in zip(tracks, [*piece.tracks, piece.residual], strict=True):
            track.append(samples)
    return tracks, similarity


def _compared(
    pieces: Iterator[Piece], scene: Scene, similarity: TrackSimilarity
) -> Iterator[Piece]:
    """Pass the pieces on, and compare the tracks where their people take part."""
    for piece in pieces:
        first, samples = piece.start // HOP, piece.tracks.shape[1]
        last = -(-(piece.start + samples) // HOP)
        there = scene.gates(first, last)[:, piece.start - first * HOP :][:, :samples] > 0.5
        similarity.add(piece.tracks, there)
        yield piece


def _entry(
    number: int, person: Person, scenes: SceneSeparator, footage: Footage, start: float
) -> SeparatedPerson:
    """Times are those of the whole recording."""
    levels = [
        (c.start + start, min(c.end, footage.seconds) + start, float(c.values[number]))
        for c in scenes.confidences
    ]
    return SeparatedPerson(person, footage.moving, start, levels, scenes.lags[number])


def _no_progress(what: str, seconds: float, total: float) -> None:
    pass
