"""Files with the boxes of people in a video: JSON, as `voicediff separate` writes it, or CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from voicediff.errors import DataError
from voicediff.video.constants import FPS
from voicediff.video.faces import Boxes, mouth_of
from voicediff.video.people import Person

COLUMNS = ("person", "time", "left", "top", "width", "height")
_APART = 0.5  # s: between rows that are further apart there is a gap


def read_people(path: str | Path, frames: int, start: float = 0.0) -> list[Person]:
    """The people in T frames of a video from second `start` on, from JSON or a file named `*.csv`.

    JSON: `{"fps": 25, "people": [{"name": ..., "boxes": [[left, top, width, height] or null, ...]}]}`,
    one entry per frame, square boxes around faces as a Haar cascade returns them. `mouth` instead of
    `boxes`: boxes of mouths. `start`: second of the first entry, on the level of `fps`.
    `{"fps": 25, "mouth": [...]}` is one person. CSV: the columns person, time (s), left, top, width,
    height; boxes are interpolated linearly between rows at most 0.5 s apart.
    Raises DataError.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        read = _of_csv if path.suffix.lower() == ".csv" else _of_json
        found = read(text, (np.arange(frames) + 0.5) / FPS + start)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise DataError(f"{path}: not a file of boxes ({reason})") from error
    if not any(person.mouth.valid.any() for person in found):
        raise DataError(f"{path}: holds no box within the video's {frames / FPS:.2f} s")
    return found


def rows_of(boxes: Boxes) -> list[list[float] | None]:
    """For JSON: one box per frame, rounded to 0.1 pixels; None if the face is not visible."""
    return [
        [round(float(value), 1) for value in box] if valid else None
        for box, valid in zip(boxes.boxes, boxes.valid, strict=True)
    ]


def _of_json(text: str, middles: np.ndarray) -> list[Person]:
    content = json.loads(text)
    fps = float(content.get("fps", FPS))
    if not fps > 0:
        raise ValueError(f"fps is {fps:g}")
    people = content["people"] if "people" in content else [content]
    # the box at the middle of each frame
    index = np.floor((middles - float(content.get("start", 0))) * fps + 1e-6).astype(int)
    found = [_of_entry(entry, number, index) for number, entry in enumerate(people)]
    return [person for person in found if person is not None]


def _of_entry(entry: dict[str, Any], number: int, index: np.ndarray) -> Person | None:
    """None for a person who is not visible."""
    kind = "mouth" if "mouth" in entry else "boxes"
    if entry[kind] is None:
        return None
    rows = np.array([row or (0, 0, 0, 0) for row in entry[kind]], np.float32).reshape(-1, 4)
    inside = (0 <= index) & (index < len(rows))
    boxes = np.zeros((len(index), 4), np.float32)
    boxes[inside] = rows[index[inside]]
    return _person(entry.get("name") or f"person{number + 1}", boxes, kind)


def _of_csv(text: str, middles: np.ndarray) -> list[Person]:
    reader = csv.DictReader(text.splitlines())
    missing = set(COLUMNS) - set(reader.fieldnames or ())
    if missing:
        raise KeyError(f"column {sorted(missing)[0]}")
    rows: dict[str, list[list[float]]] = {}
    for row in reader:
        rows.setdefault(row["person"], []).append([float(row[name]) for name in COLUMNS[1:]])
    return [
        _person(name, _interpolated(np.array(own), middles), "boxes") for name, own in rows.items()
    ]


def _interpolated(rows: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Boxes (T, 4) at times (T,) from rows (time, left, top, width, height); 0 in gaps."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    times = rows[:, 0]
    boxes = np.stack([np.interp(middles, times, column) for column in rows.T[1:]], 1)
    after = np.searchsorted(times, middles)
    before = times[np.clip(after - 1, 0, None)]
    after = times[np.clip(after, None, len(times) - 1)]
    half = 0.5 / FPS  # a row at the start or end of a frame counts for the frame
    near = np.minimum(abs(middles - before), abs(after - middles)) <= half + 1e-6
    between = (before <= middles) & (middles <= after) & (after - before <= _APART + 1e-6)
    return boxes * (near | between)[:, None]


def _person(name: str, boxes: np.ndarray, kind: str) -> Person:
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise ValueError(f"a box of {name} has a negative size or is not a number")
    known = Boxes(boxes.astype(np.float32), (boxes[:, 2:] > 0).all(1))
    if kind == "boxes":
        return Person(known, mouth_of(known), str(name))
    return Person(face_around(known), known, str(name))


def face_around(mouth: Boxes) -> Boxes:
    """The face boxes of mouth boxes: the inverse of `mouth_of`."""
    x, y, w, h = mouth.boxes.T
    side = w / 0.6
    boxes = np.stack([x + w / 2 - side / 2, y + h / 2 - 0.8 * side, side, side], 1)
    return Boxes(boxes.astype(np.float32), mouth.valid)
