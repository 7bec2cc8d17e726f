"""The people of a video: tracks of faces put together by look and place, with their mouths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from voicediff.video.constants import FPS
from voicediff.video.faces import MEDIAN, Boxes, mouth_of
from voicediff.video.tracking import LOOK, Track

_STRANGER = 4.0  # difference of looks from which on two tracks are two people
_AT_HOME = 1.5  # by how much less different a face is that comes back to where it was
_LEAST_SEEN = 0.5  # s: who is seen for less is nobody
_LEAST_FOUND = 0.25  # share of the detector's looks in which a face must be found
_SMOOTH = 2.0  # frames, standard deviation
_SHORT = 0.5  # s: who is out of sight for less than this is heard on


@dataclass
class Person:
    """Someone who is seen in a video of T frames.

    Attributes:
        face, mouth: boxes in pixels of the video.
        detection_rate: share of the examined frames in which the face was detected; 1 for given boxes.
    """

    face: Boxes
    mouth: Boxes
    name: str = ""
    detection_rate: float = 1.0

    def spans(self) -> list[tuple[int, int]]:
        """Frames [start, end) in which the person is seen, without the short breaks."""
        return spans_of(present(self.mouth.valid))


def nobody(name: str) -> Person:
    """Somebody who is heard but not seen."""
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, bool))
    return Person(none, none, name)


def people_of(tracks: Sequence[Track], frames: int, count: int | None = None) -> list[Person]:
    """Who is seen in T frames, in the order of their coming.

    Tracks are joined from the most alike on, never two at the same time. With `count` joining goes
    on until so few people are left, or stops when no more are; the briefest go if too many stay.
    """
    groups = [group for group in joined(tracks, count) if _is_somebody(group)]
    if count is not None:
        groups = sorted(groups, key=lambda group: -_length(group))[:count]
    groups.sort(key=lambda group: (group[0].first, group[0].place[0]))
    return [_person(group, frames) for group in groups]


def joined(tracks: Sequence[Track], count: int | None = None) -> list[list[Track]]:
    """Groups of tracks that are one person, each in the order of time."""
    groups = [[track] for track in tracks]
    while len(groups) > 1:
        pairs = [
            (_difference(a, b), i, j)
            for (i, a), (j, b) in combinations(enumerate(groups), 2)
            if not _meet(a, b)
        ]
        least, i, j = min(pairs, default=(np.inf, 0, 0))
        many = count is not None and sum(map(_is_somebody, groups)) > count
        if not np.isfinite(least) or (least > _STRANGER and not many):
            break
        groups[i] = sorted(groups[i] + groups.pop(j), key=lambda track: track.first)
    return groups


def unlike(a: np.ndarray, b: np.ndarray) -> float:
    """How different two looks (24, 20, 3) are; below about 4 they may be one person.

    Three differences within an oval around the face: 1 - correlation of lightness, which does not
    know how bright the light is; of colour; and of both as they are. Each is about 1 where half of the
    pairs of recordings of one person are above it.
    """
    light = [_standard(x[..., 0]) for x in (a, b)]
    shape = 1 - float((light[0] * light[1] * _OVAL).sum())
    colour = [x[..., 1:] - (x[..., 1:] * _OVAL[..., None]).sum((0, 1)) for x in (a, b)]
    hue = np.sqrt((np.square(colour[0] - colour[1]).sum(-1) * _OVAL).sum())
    plain = (a - b) * (0.5, 1, 1)
    whole = np.sqrt((np.square(plain).sum(-1) * _OVAL).sum())
    return shape / 0.1 + float(hue) / 6 + float(whole) / 15


def present(valid: np.ndarray) -> np.ndarray:
    """Frames (T,) in which somebody takes part: seen, or out of sight for half a second at most."""
    there = valid.copy()
    for (_, end), (start, _) in pairwise(spans_of(valid)):
        if start - end <= _SHORT * FPS:
            there[end:start] = True
    return there


def spans_of(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def smoothed(boxes: np.ndarray) -> np.ndarray:
    """Boxes (T, 4) of one track without the detector's trembling."""
    steady = median_filter(boxes, (MEDIAN, 1), mode="nearest")
    return gaussian_filter1d(steady, _SMOOTH, axis=0, mode="nearest").astype(np.float32)


def _person(group: list[Track], frames: int) -> Person:
    boxes, valid = np.zeros((frames, 4), np.float32), np.zeros(frames, bool)
    for track in group:
        own = np.arange(track.first, min(track.last + 1, frames))
        boxes[own], valid[own] = smoothed(track.boxes_at(own)), True
    face = Boxes(boxes, valid)
    return Person(face, mouth_of(face), detection_rate=_found(group))


def _difference(a: list[Track], b: list[Track]) -> float:
    """Of looks; less where one comes back to where the other one was."""
    looks = [np.mean([x for track in group for x in track.looks], 0) for group in (a, b)]
    return unlike(*looks) - (_AT_HOME if _near(a, b) else 0)


def _near(a: list[Track], b: list[Track]) -> bool:
    """Whether one begins where the other one was last seen."""
    ordered = sorted(a + b, key=lambda track: track.first)
    own = {id(track) for track in a}
    return any(
        _in_place(old.boxes[-1], new.boxes[0])
        for old, new in pairwise(ordered)
        if (id(old) in own) != (id(new) in own)
    )


def _in_place(old: np.ndarray, new: np.ndarray) -> bool:
    away = np.hypot(*(old[:2] + old[2:] / 2 - new[:2] - new[2:] / 2))
    return bool(away < 0.5 * max(old[2], new[2]) and 0.7 < old[2] / new[2] < 1.43)


def _meet(a: list[Track], b: list[Track]) -> bool:
    return any(x.first <= y.last and y.first <= x.last for x in a for y in b)


def _is_somebody(group: list[Track]) -> bool:
    return _length(group) >= _LEAST_SEEN * FPS and _found(group) >= _LEAST_FOUND


def _length(group: list[Track]) -> int:
    return sum(track.last - track.first + 1 for track in group)


def _found(group: list[Track]) -> float:
    return sum(track.found for track in group) / max(1, sum(track.scans for track in group))


def _oval() -> np.ndarray:
    """Weights (24, 20) that sum to 1: the oval of face and hair."""
    height, width = LOOK
    y, x = np.mgrid[:height, :width]
    middle, low = (width - 1) / 2, height / 2
    inside = np.square((x - middle) / (width / 2 - 1)) + np.square((y - low) / (low - 0.5)) < 1
    return inside / inside.sum()


_OVAL = _oval()


def _standard(light: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 within the oval."""
    light = light - (light * _OVAL).sum()
    return light / (np.sqrt((np.square(light) * _OVAL).sum()) + 1e-6)
