"""Face tracking: the position of every face of a video, frame by frame.

A detector examines every n-th frame; in between, each face is located by correlation with its last
picture. So a missed detection does not split a track, and tracks start and end on the exact frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from voicediff.video.crops import cut
from voicediff.video.faces import FaceDetector

EVERY = 5  # frames between two detections
_SIDE = 360  # pixels: larger pictures are reduced to this side
_PATCH, _REGION = 32, 48  # pixels: a face, and the search region in the next frame
_ALIKE = 0.6  # correlation from which it is the same face
_FLAT = 3.0  # standard deviation below which a region counts as uniform
_BACK = 25  # frames: how far a new face is tracked backwards
_UNCONFIRMED = 25  # frames: how long a face is tracked without a detection
_SAME = 0.3  # overlap (intersection over union) from which two boxes are one face
_LOOKS = 12  # appearances kept per track
LOOK = (24, 20)  # pixels, height and width of an appearance


@dataclass
class Track:
    """One face in consecutive frames [first, last].

    Attributes:
        frames, boxes: known positions: frame, (left, top, width, height) in pixels, from the
            detector and, at both ends, from correlation.
        looks: appearances (24, 20, 3) float32 Lab of face and hair, for recognition.
        scans: number of examined frames during the track; found: number of detections in them.
        place: box in the newest frame; patch: its grey picture.
    """

    first: int
    last: int
    place: np.ndarray
    patch: np.ndarray
    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    looks: list[np.ndarray] = field(default_factory=list)
    scans: int = 0
    found: int = 0

    def boxes_at(self, frames: np.ndarray) -> np.ndarray:
        """Boxes (T, 4), linearly interpolated between detections."""
        return np.stack([np.interp(frames, self.frames, c) for c in np.stack(self.boxes, 1)], 1)


class FaceTracker:
    """Takes the frames of a video one by one; `finish` returns all tracks.

    Args:
        detector: detects faces in one picture.
        every: frames between two detections.
    """

    def __init__(self, detector: FaceDetector, every: int = EVERY):
        self.detector, self.every = detector, every
        self.live: list[Track] = []
        self.ended: list[Track] = []
        self.past: deque[np.ndarray] = deque(maxlen=_BACK)
        self.index = 0

    def add(self, image: np.ndarray, shown: bool = True) -> None:
        """Process the next frame (H, W, 3) uint8 RGB; `shown` False: the frame has no picture."""
        if not shown:
            self._end(self.live)
            self.past.clear()
        else:
            self._look(image)
        self.index += 1

    def finish(self) -> list[Track]:
        """All tracks in the order of their first frames."""
        self._end(self.live)
        return sorted(self.ended, key=lambda track: track.first)

    def _look(self, image: np.ndarray) -> None:
        shrink = min(1.0, _SIDE / min(image.shape[:2]))
        if shrink < 1:
            image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        self._end([track for track in self.live if not self._follow(track, grey, shrink)])
        covered = _overlapping(self.live)
        for track in covered:
            track.last = self.index - 1
        self._end(covered)
        if self.index % self.every == 0:
            self._scan(image, grey, shrink)
            limit = self.index - _UNCONFIRMED
            self._end([track for track in self.live if track.frames[-1] < limit])
        self.past.append(grey)

    def _follow(self, track: Track, grey: np.ndarray, shrink: float) -> bool:
        """Whether the face is in this frame; updates the track."""
        place = found_again(track.patch, grey, track.place * shrink)
        if place is None:
            return False
        track.place, track.last = place / shrink, self.index
        return True

    def _scan(self, image: np.ndarray, grey: np.ndarray, shrink: float) -> None:
        found = single(self.detector(image))[:, :4]
        for track in self.live:
            track.scans += 1
        for track, box in matched(self.live, found / shrink):
            if track is None:
                track = self._new_track(box, grey, shrink)
            self._confirm(track, box, image, grey, shrink)

    def _confirm(
        self, track: Track, box: np.ndarray, image: np.ndarray, grey: np.ndarray, shrink: float
    ) -> None:
        """Add a detection of the face of the track in this frame."""
        track.found += 1
        track.frames.append(self.index)
        track.boxes.append(box)
        track.place, track.patch = box, cut(grey, box * shrink, _PATCH)
        if len(track.looks) < _LOOKS or track.found % _LOOKS == 0:
            track.looks.append(look(image, box * shrink))
            del track.looks[: -2 * _LOOKS]

    def _new_track(self, box: np.ndarray, grey: np.ndarray, shrink: float) -> Track:
        """A new track, followed backwards to the first frame of the face."""
        track = Track(self.index, self.index, box, cut(grey, box * shrink, _PATCH), scans=1)
        place = box * shrink
        for index, before in zip(range(self.index - 1, -1, -1), reversed(self.past), strict=False):
            place = found_again(track.patch, before, place)
            if place is None or self._taken(place / shrink, index):
                break
            track.first, track.boxes = index, [place / shrink]
        track.frames = [track.first] * len(track.boxes)
        self.live.append(track)
        return track

    def _taken(self, place: np.ndarray, index: int) -> bool:
        return any(t.last >= index and overlap(t.place, place) > _SAME for t in self.ended)

    def _end(self, tracks: list[Track]) -> None:
        for track in tracks:
            if track.last > track.frames[-1]:
                track.frames.append(track.last)
                track.boxes.append(track.place)
        self.ended += tracks
        self.live = [track for track in self.live if all(track is not other for other in tracks)]


def found_again(patch: np.ndarray, grey: np.ndarray, place: np.ndarray) -> np.ndarray | None:
    """The box of a face with picture (32, 32) in a frame, near its last box; None if not found."""
    left, top, width, height = place
    if not (0 < left + width / 2 < grey.shape[1] and 0 < top + height / 2 < grey.shape[0]):
        return None
    margin = (_REGION / _PATCH - 1) / 2
    wide = np.array([left - margin * width, top - margin * height, 1, 1])
    wide[2:] = width * _REGION / _PATCH, height * _REGION / _PATCH
    region = cut(grey, wide, _REGION)
    if region.std() < _FLAT or patch.std() < _FLAT:
        return None
    scores = cv2.matchTemplate(region, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(scores)
    if not best >= _ALIKE:
        return None
    return np.array([wide[0] + x * width / _PATCH, wide[1] + y * height / _PATCH, width, height])


def single(found: np.ndarray) -> np.ndarray:
    """Detections (N, 5) without those that overlap one with a higher score."""
    kept: list[np.ndarray] = []
    for row in sorted(found, key=lambda row: -row[4]):
        if not any(overlap(row[:4], k[:4]) > _SAME or _inside(row, k) for k in kept):
            kept.append(row)
    return np.array(kept, np.float32).reshape(-1, 5)


def matched(tracks: list[Track], found: np.ndarray) -> list[tuple[Track | None, np.ndarray]]:
    """Each box (N, 4) with the track that it overlaps most; None for a new face.

    A box that partly overlaps the face of a track with a better box is left out.
    """
    overlaps = np.array([[overlap(t.place, box) for box in found] for t in tracks])
    overlaps = overlaps.reshape(len(tracks), len(found))
    pairs, free = [], set(range(len(found)))
    for place in np.argsort(-overlaps, axis=None):
        row, column = np.unravel_index(place, overlaps.shape)
        if overlaps[row, column] < _SAME:
            break
        if column in free and all(tracks[row] is not track for track, _ in pairs):
            pairs.append((tracks[row], found[column]))
            free.discard(int(column))
    new = [i for i in sorted(free) if overlaps[:, i].max(initial=0.0) < _SAME / 2]
    return pairs + [(None, found[i]) for i in new]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    sides = np.minimum(a[:2] + a[2:4], b[:2] + b[2:4]) - np.maximum(a[:2], b[:2])
    both = float(np.prod(np.clip(sides, 0, None)))
    return both / (float(a[2] * a[3] + b[2] * b[3]) - both + 1e-9)


def look(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Appearance: face and hair as a picture (24, 20, 3) float32 in Lab, to recognise a person."""
    left, top, width, height = box
    wide = np.array([left, top - 0.2 * height, width, 1.2 * height])
    small = cv2.resize(cut(image, wide, 96), LOOK[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _inside(row: np.ndarray, other: np.ndarray) -> bool:
    """Whether the centre of a box is inside another one."""
    middle = row[:2] + row[2:4] / 2
    return bool(((other[:2] < middle) & (middle < other[:2] + other[2:4])).all())


def _overlapping(tracks: list[Track]) -> list[Track]:
    """Tracks that overlap each other: they end here, and new tracks start when the faces separate."""
    return [
        track
        for track in tracks
        if any(o is not track and overlap(o.place, track.place) > _SAME for o in tracks)
    ]
