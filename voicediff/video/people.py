"""The people of a video: face tracks merged by appearance and position, with mouth boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from voicediff.video.constants import FPS
from voicediff.video.faces import MEDIAN, Boxes, mouth_of
from voicediff.video.tracking import LOOK, Track

_DIFFERENT = 4.0  # appearance distance from which two tracks are two people
_SAME_PLACE = 1.5  # reduction of the distance for a face that reappears at the same position
_MIN_VISIBLE = 0.5  # s: people visible for less are discarded
_MIN_DETECTED = 0.25  # share of the examined frames in which a face must be detected
_SMOOTH = 2.0  # frames, standard deviation
_SHORT = 0.5  # s: during shorter gaps a person still counts as present


@dataclass
class Person:
    """A person who is visible in a video of T frames.

    Attributes:
        face, mouth: boxes in pixels of the video.
        detection_rate: share of the examined frames in which the face was detected; 1 for given boxes.
    """

    face: Boxes
    mouth: Boxes
    name: str = ""
    detection_rate: float = 1.0

    def spans(self) -> list[tuple[int, int]]:
        """Intervals [start, end) of frames in which the person is visible; short gaps are included."""
        return spans_of(present(self.mouth.valid))


def invisible(name: str) -> Person:
    """A person who is audible but not visible."""
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, bool))
    return Person(none, none, name)


def people_of(tracks: Sequence[Track], frames: int, count: int | None = None) -> list[Person]:
    """The people visible in T frames, in the order of their appearance.

    Tracks are merged in the order of similarity, never two that overlap in time. With `count`,
    merging goes on until at most `count` people are left; if more remain, those who are visible for
    the shortest time are left out.
    """
    groups = [group for group in joined(tracks, count) if _is_person(group)]
    if count is not None:
        groups = sorted(groups, key=lambda group: -_length(group))[:count]
    groups.sort(key=lambda group: (group[0].first, group[0].place[0]))
    return [_person(group, frames) for group in groups]


def joined(tracks: Sequence[Track], count: int | None = None) -> list[list[Track]]:
    """Groups of tracks of one person each, ordered by time."""
    groups = [[track] for track in tracks]
    while len(groups) > 1:
        pairs = [
            (_difference(a, b), i, j)
            for (i, a), (j, b) in combinations(enumerate(groups), 2)
            if not _overlap_in_time(a, b)
        ]
        least, i, j = min(pairs, default=(np.inf, 0, 0))
        many = count is not None and sum(map(_is_person, groups)) > count
        if not np.isfinite(least) or (least > _DIFFERENT and not many):
            break
        groups[i] = sorted(groups[i] + groups.pop(j), key=lambda track: track.first)
    return groups


def appearance_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two appearances (24, 20, 3) in Lab; below about 4 they may be one person.

    The sum of three terms within an oval around the face: 1 - correlation of lightness, which does
    not depend on illumination; distance of colour without its mean; distance of all channels. Each is
    scaled so that its median over pairs of recordings of one person is about 1.
    """
    light = [_standard(x[..., 0]) for x in (a, b)]
    shape = 1 - float((light[0] * light[1] * _OVAL).sum())
    colour = [x[..., 1:] - (x[..., 1:] * _OVAL[..., None]).sum((0, 1)) for x in (a, b)]
    hue = np.sqrt((np.square(colour[0] - colour[1]).sum(-1) * _OVAL).sum())
    plain = (a - b) * (0.5, 1, 1)
    whole = np.sqrt((np.square(plain).sum(-1) * _OVAL).sum())
    return shape / 0.1 + float(hue) / 6 + float(whole) / 15


def present(valid: np.ndarray) -> np.ndarray:
    """Frames (T,) in which a person is present: visible, or in a gap of at most half a second."""
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
    """Boxes (T, 4) of one track without the jitter of the detector."""
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
    """Appearance distance; reduced if one starts at the position where the other ended."""
    looks = [np.mean([x for track in group for x in track.looks], 0) for group in (a, b)]
    return appearance_distance(*looks) - (_SAME_PLACE if _near(a, b) else 0)


def _near(a: list[Track], b: list[Track]) -> bool:
    """Whether one starts at the position where the other ended."""
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


def _overlap_in_time(a: list[Track], b: list[Track]) -> bool:
    return any(x.first <= y.last and y.first <= x.last for x in a for y in b)


def _is_person(group: list[Track]) -> bool:
    return _length(group) >= _MIN_VISIBLE * FPS and _found(group) >= _MIN_DETECTED


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
