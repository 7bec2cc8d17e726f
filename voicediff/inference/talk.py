"""The result of separating a recording: one track per person."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voicediff.files import whole_folder
from voicediff.inference.results import player
from voicediff.inference.separation import Piece, write_tracks
from voicediff.report.people import People, SeparatedPerson, require_own, write_people
from voicediff.video.constants import FPS, SAMPLE_RATE
from voicediff.video.disk_array import DiskArray
from voicediff.video.footage import Footage

Progress = Callable[[str, float, float], None]  # what is done, seconds since the last call, of all
_BLOCK = 1 << 16  # samples


@dataclass(repr=False)
class Speaker:
    """One person of a separated recording of T video frames and N samples.

    Attributes:
        entry: boxes, times and confidences.
        track: the samples, on disk.
    """

    entry: SeparatedPerson
    track: DiskArray

    @property
    def name(self) -> str:
        return self.entry.person.name

    @property
    def audio(self) -> np.ndarray:
        """(N,) float32 at 16 kHz."""
        return self.track[:]

    @property
    def boxes(self) -> np.ndarray:
        """Face boxes (T, 4) in pixels: left, top, width, height; (0, 4) for a person without video."""
        return self.entry.person.face.boxes

    @property
    def visible(self) -> np.ndarray:
        """(T,) bool, whether the face is visible."""
        return self.entry.person.face.valid

    @property
    def spans(self) -> list[tuple[float, float]]:
        """[start, end) in seconds of the recording where the person is visible."""
        return self.entry.visible

    @property
    def confidence(self) -> float | None:
        """In [0, 1], the mean over time; None where nothing can be stated."""
        return self.entry.confidence

    def __repr__(self) -> str:
        return f"Speaker({self.name!r}, {self.entry.in_words()})"

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(repr(self))}<br>{player(self.audio, SAMPLE_RATE)}</div>"


@dataclass(repr=False)
class Talk:
    """A separated recording.

    Attributes:
        people: one `Speaker` per person, in the order of appearance.
        residual: (N,) on disk, the mixture minus all tracks; `residual[:]` reads it.
        warnings: what may be wrong with the recording or the result, one line each.
        same_voice: (name, name, SI-SDR in dB between their tracks) of people with the same track.
        model: experiment folder; seed: of the noise; start: second of the recording at which
            tracks and boxes begin.
    """

    people: list[Speaker]
    residual: DiskArray
    warnings: list[str]
    same_voice: list[tuple[str, str, float]]
    footage: Footage
    model: Path
    seed: int
    start: float
    sample_rate: int = SAMPLE_RATE
    fps: int = FPS

    @property
    def seconds(self) -> float:
        return self.footage.seconds

    def save(
        self,
        folder: str | Path,
        video: bool = True,
        residual: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Write NAME.wav and NAME.mp4 of each person, and people.json.

        Where one track would clip all are scaled down alike, so that they still sum to the mixture.

        Args:
            folder: replaced if it holds an earlier result.
            video: write the videos, each with one person framed and that person's track.
            residual: also write residual.wav.

        Raises DataError where the folder holds other files.
        """
        folder = Path(folder).resolve()
        require_own(folder)
        has_video = video and self.footage.moving
        with whole_folder(folder) as new:
            wavs = [new / f"{speaker.name}.wav" for speaker in self.people]
            write_tracks(wavs, self._pieces(), new / "residual.wav" if residual else None)
            if has_video:
                self._write_videos(wavs, progress or _no_progress)
            write_people(new, self._described(has_video, residual))
        return folder

    def _pieces(self) -> Iterator[Piece]:
        for start in range(0, len(self.residual), _BLOCK):
            stop = start + _BLOCK
            tracks = np.stack([speaker.track[start:stop] for speaker in self.people])
            yield Piece(start, tracks, self.residual[start:stop])

    def _write_videos(self, wavs: list[Path], progress: Progress) -> None:
        from voicediff.video.rendering import write_marked

        people = [speaker.entry.person for speaker in self.people]
        write_marked(
            [wav.with_suffix(".mp4") for wav in wavs],
            watched(self.footage, "writing videos", progress),
            [person.face for person in people],
            [person.name for person in people],
            wavs,
        )

    def _described(self, has_video: bool, residual: bool) -> People:
        return People(
            self.footage.path,
            self.start,
            len(self.footage.sound),
            self.model,
            self.seed,
            [replace(speaker.entry, framed=has_video) for speaker in self.people],
            self.same_voice,
            self.warnings,
            residual,
        )

    def __repr__(self) -> str:
        names = ", ".join(speaker.name for speaker in self.people)
        return f"Talk({self.seconds:.2f} s, {self.sample_rate} Hz: {names})"

    def _repr_html_(self) -> str:
        lines = "".join(f"<br>{html.escape(line)}" for line in self.warnings)
        people = "".join(speaker._repr_html_() for speaker in self.people)
        return f"<div>{html.escape(repr(self))}{lines}{people}</div>"


def watched(footage: Footage, what: str, progress: Progress) -> Iterator[tuple[np.ndarray, bool]]:
    """The pictures of a recording, reported to `progress` one by one."""
    for picture in footage.pictures():
        yield picture
        progress(what, 1 / FPS, footage.seconds)


def _no_progress(what: str, seconds: float, total: float) -> None:
    pass
