"""The result of separating a video: when and where each person is visible, and confidences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from voicediff.errors import DataError
from voicediff.files import write_text
from voicediff.video.boxes import rows_of
from voicediff.video.constants import FPS, SAMPLE_RATE
from voicediff.video.people import Person

FILE = "people.json"


@dataclass
class SeparatedPerson:
    """One person of the result.

    Attributes:
        framed: whether there is a video with this person framed.
        start: seconds of the recording at which boxes begin.
        confidences: (start s, end s, confidence 0 to 1; nan for silence).
        lag: frames by which the video was late (negative: early); it has been shifted back.
    """

    person: Person
    framed: bool
    start: float
    confidences: list[tuple[float, float, float]]
    lag: int = 0

    @property
    def visible(self) -> list[tuple[float, float]]:
        """[start, end) in seconds of the recording."""
        return [(self.start + a / FPS, self.start + b / FPS) for a, b in self.person.spans()]

    @property
    def confidence(self) -> float | None:
        """Mean over time; None without confidences, or if all are silence."""
        rows = [(end - start, value) for start, end, value in self.confidences if value == value]
        if not rows:
            return None
        weights, values = zip(*rows, strict=True)
        return float(np.average(values, weights=weights))

    def in_words(self) -> str:
        """E.g. "visible 0.00-2.56 and 3.20-6.16 s, confidence 0.93"."""
        times = " and ".join(f"{a:.2f}-{b:.2f}" for a, b in self.visible)
        words = f"visible {times} s" if times else "not visible"
        if self.lag:
            words += (
                f", video {abs(self.lag) * 1000 // FPS} ms {'late' if self.lag > 0 else 'early'}"
            )
        return words if self.confidence is None else f"{words}, confidence {self.confidence:.2f}"

    def as_json(self) -> dict[str, Any]:
        visible, name = self.visible, self.person.name
        return {
            "name": name,
            "wav": f"{name}.wav",
            "video": f"{name}.mp4" if self.framed else None,
            "first_seen": _round(visible[0][0]) if visible else None,
            "last_seen": _round(visible[-1][1]) if visible else None,
            "gaps": [[_round(a), _round(b)] for (_, a), (b, _) in pairwise(visible)],
            "detection_rate": _round(self.person.detection_rate) if visible else None,
            "video_late_by": _round(self.lag / FPS),
            "confidence": _round(self.confidence),
            "confidences": [
                {"start": _round(start), "end": _round(end), "value": _round(value)}
                for start, end, value in self.confidences
            ],
            "boxes": rows_of(self.person.face) if visible else None,
        }


@dataclass
class People:
    """The whole result.

    Attributes:
        start: seconds of the recording at which tracks and boxes begin; samples: of each track.
        same_voice: (name, name, SI-SDR in dB between their tracks) of people whose tracks are nearly equal.
        warnings: what may be wrong with the recording or the result.
    """

    source: Path
    start: float
    samples: int
    model: Path
    seed: int
    people: list[SeparatedPerson]
    same_voice: list[tuple[str, str, float]]
    warnings: list[str]
    residual: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "input": str(self.source),
            "start": _round(self.start),
            "seconds": round(self.samples / SAMPLE_RATE, 4),
            "sample_rate": SAMPLE_RATE,
            "fps": FPS,
            "model": str(self.model),
            "seed": self.seed,
            "residual": "residual.wav" if self.residual else None,
            "warnings": self.warnings,
            "same_voice": [
                {"names": [one, other], "si_sdr": round(level, 1)}
                for one, other, level in self.same_voice
            ],
            "people": [person.as_json() for person in self.people],
        }


def write_people(folder: Path, result: People) -> None:
    """Write `people.json`; each box takes one line."""
    content = result.as_json()
    lists = {}
    for number, person in enumerate(content["people"]):
        if person["boxes"] is not None:
            rows = ",\n    ".join(json.dumps(row) for row in person["boxes"])
            lists[f'"<boxes {number}>"'] = f"[\n    {rows}\n   ]"
            person["boxes"] = f"<boxes {number}>"
    text = json.dumps(content, ensure_ascii=False, indent=1)
    for mark, rows in lists.items():
        text = text.replace(mark, rows)
    write_text(folder / FILE, text + "\n")


def require_own(folder: Path) -> None:
    """Raise DataError if the folder holds anything but an earlier result."""
    if folder.is_dir() and any(folder.iterdir()):
        foreign = sorted({path.name for path in folder.iterdir()} - _files_of(folder))
        if foreign:
            raise DataError(
                f"{folder}: holds {foreign[0]}, which separation did not write; name a new folder"
            )
    elif folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; name a folder")


def _files_of(folder: Path) -> set[str]:
    """The files of a result, by its `people.json`."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        names = {FILE, content["residual"]}
        return names | {person[kind] for person in content["people"] for kind in ("wav", "video")}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _round(value: float | None) -> float | None:
    """Rounded to three digits; None for nan."""
    return None if value is None or value != value else round(float(value), 3)
