"""A singing model as one object: scores in, songs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicediff import experiment
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.experiment import Experiment
from voicediff.inference.editing import Recording
from voicediff.inference.results import Song
from voicediff.inference.singing import SongRenderer, Stretch
from voicediff.inference.vocoding import find_vocoder
from voicediff.music import read_score
from voicediff.music.score import Score
from voicediff.registry import build
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.text.lyrics import numbers_of


@dataclass(frozen=True)
class Take:
    """Seconds [start, stop) of a recording of the song, for `keep` or `replace`."""

    path: str | Path
    start: float
    stop: float


class Singer:
    """A trained singing model (task `svs`) with its vocoder; `voicediff.load` makes it.

    Raises ConfigError where the experiment is of another task.
    """

    def __init__(self, loaded: Experiment):
        if not isinstance(loaded.task, SingingSynthesis):
            name = loaded.config.task["name"]
            raise ConfigError(f"{loaded.folder}: cannot sing (task svs is needed, found {name})")
        self.experiment = loaded
        self.task = loaded.task

    @classmethod
    def load(cls, folder: str | Path, device: str | None = None) -> Singer:
        """The model of an experiment folder; see `voicediff.load`."""
        return cls(experiment.load(folder, device=device))

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.task.mel.sample_rate

    @property
    def pitch_range(self) -> tuple[int, int]:
        """Lowest and highest MIDI number of the training data."""
        return self.task.pitch_range

    def __repr__(self) -> str:
        low, high = self.pitch_range
        folder, rate = self.experiment.folder, self.sample_rate
        return f"Singer({str(folder)!r}, {rate} Hz, MIDI {low} to {high})"

    def sing(
        self,
        score: str | Path | Score,
        lyrics: str | Path | None = None,
        *,
        transpose: int = 0,
        tempo: float = 1.0,
        pronouncer: str | None = None,
        **options: Any,
    ) -> Song:
        """Sing a score.

        Args:
            score: MIDI, MusicXML or USTX file, song of a CSD tree, or a `Score`.
            lyrics: text file with one Hangul syllable per note; None takes the score's own.
            transpose: semitones upwards.
            tempo: factor, 2.0 is twice as fast.
            pronouncer: how text becomes phones, `rules` or `g2pk`; None takes the model's own.
            options: `steps`, `seed`, `sampler` ... of `stream`.

        Raises DataError for a score that cannot be sung, ConfigError for options that are not
        possible.
        """
        notes = self.read(score, lyrics, transpose, tempo)
        warnings = (*numbers(lyrics), *self.range_warnings(notes))
        collected = _Collected(self.task, notes)
        pieces = self.stream(notes, pronouncer=pronouncer, on_stretch=collected.add, **options)
        audio = np.concatenate(list(pieces))
        return Song(
            audio,
            self.sample_rate,
            collected.mel,
            collected.f0,
            self.task.mel.frame_rate,
            notes.notes,
            warnings,
        )

    def stream(
        self,
        score: Score,
        *,
        steps: int | None = None,
        seed: int = 0,
        sampler: str | Mapping[str, Any] | None = None,
        vocoder: str | Path | None = None,
        noise_scale: float | None = None,
        guidance: Mapping[str, float] | None = None,
        shallow: float | None = None,
        keep: Take | None = None,
        replace: Take | None = None,
        pronouncer: str | None = None,
        progress: Callable[[float], None] | None = None,
        on_stretch: Callable[[Stretch], None] | None = None,
    ) -> Iterator[np.ndarray]:
        """Consecutive pieces (n,) float32 of a song; memory does not grow with its length.

        Args:
            steps: number of network evaluations (NFE); 0 sings the encoder's mean, None takes the
                sampler's own number.
            seed: of the noise.
            sampler: name or `{"name": ..., options}`; None takes the recommended one, or with
                `steps` the one of the configuration.
            vocoder: name of a registered part, folder, or None for the model's own.
            noise_scale: standard deviation of the noise; None takes the model's.
            guidance: scale by condition, classifier-free; None takes the model's.
            shallow: time t at which sampling starts from the encoder's mean (shallow diffusion).
            keep: part of a recording that is kept, the rest is sung.
            replace: part of a recording that is sung anew, the rest is kept.
            progress: called with the seconds of song made since the last call.
            on_stretch: called with mel and F0 of each uninterrupted stretch of singing.
        """
        if pronouncer:
            self.task.tokenizer.pronouncer = pronouncer
        renderer = SongRenderer(
            self.task,
            self._sampler(sampler, steps),
            self._vocoder(vocoder),
            seed,
            noise_scale,
            guidance,
            shallow,
            self._recording(keep, replace),
        )
        renderer.progress = progress or renderer.progress
        renderer.on_stretch = on_stretch or renderer.on_stretch
        return renderer.wav(score)

    def read(
        self,
        score: str | Path | Score,
        lyrics: str | Path | None = None,
        transpose: int = 0,
        tempo: float = 1.0,
    ) -> Score:
        """The score as it will be sung. Raises DataError in one line for a file that cannot be read."""
        found = score if isinstance(score, Score) else read_score(score, lyrics)
        return found.transpose(transpose).stretch(tempo)

    def range_warnings(self, score: Score) -> list[str]:
        """A line about notes outside the range of the training data; empty where there are none."""
        low, high = self.pitch_range
        outside = [note for note in score.notes if not low <= note.pitch <= high]
        if not outside:
            return []
        first = outside[0]
        return [
            f"{len(outside)} of {len(score.notes)} notes are outside the trained range {low} to "
            f"{high} (first: {first.pitch} at {first.start:.2f} s); {_suggestion(score, low, high)}"
        ]

    def _sampler(self, name: str | Mapping[str, Any] | None, steps: int | None) -> Sampler | None:
        if steps == 0:
            return None
        if steps is not None and steps < 0:
            raise ConfigError(f"steps: expected 0 or more, found {steps}")
        own = self.experiment.sampler if steps is None else self.experiment.config.sampler
        spec = {"name": name} if isinstance(name, str) else name or own
        if not spec:
            raise ConfigError(f"{self.experiment.folder}: names no sampler; give one")
        sampler: Sampler = build("sampler", spec, at="sampler")
        return sampler if steps is None else sampler.with_nfe(steps)

    def _vocoder(self, name: str | Path | None) -> Any:
        wanted = None if name is None else str(name)
        found = find_vocoder(wanted, self.task.mel, self.experiment.folder)
        return found.to(next(self.task.parameters()).device).vocoder

    def _recording(self, keep: Take | None, replace: Take | None) -> Recording | None:
        if keep is not None and replace is not None:
            raise ConfigError("keep and replace: give one of them")
        take = keep or replace
        if take is None:
            return None
        inside = keep is not None
        return Recording.read(Path(take.path), self.task.mel, take.start, take.stop, inside)


class _Collected:
    """Mel and F0 of a whole song, put together from its stretches."""

    def __init__(self, task: SingingSynthesis, score: Score):
        spec = task.mel
        frames = max(round(score.duration * spec.frame_rate), 1)
        self.mel = np.full((spec.n_mels, frames), np.log(spec.floor), np.float32)
        self.f0 = np.zeros(frames, np.float32)

    def add(self, stretch: Stretch) -> None:
        self.mel[:, stretch.start : stretch.end] = stretch.mel
        self.f0[stretch.start : stretch.end] = stretch.f0


def numbers(lyrics: str | Path | None) -> list[str]:
    """A line for each number in a text file of lyrics, with the words that are sung for it."""
    return list(numbers_of(Path(lyrics))) if lyrics else []


def _suggestion(score: Score, low: int, high: int) -> str:
    """The transposition that moves the most notes into the range."""
    pitches = [note.pitch for note in score.notes]

    def inside(shift: int) -> int:
        return sum(low <= pitch + shift <= high for pitch in pitches)

    best = max(range(-36, 37), key=lambda shift: (inside(shift), -abs(shift)))
    if best == 0:
        return "no transposition moves more of them inside"
    count = "all" if inside(best) == len(pitches) else f"{inside(best)} of {len(pitches)}"
    return f"transposing by {best:+d} semitones moves {count} inside"
