"""The people of a recording, found or given, as input of a separation model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicediff.errors import ConfigError, DataError
from voicediff.inference.separation import Scene
from voicediff.inference.talk import Progress, watched
from voicediff.video.boxes import read_people
from voicediff.video.faces import FaceDetector, HaarFaces, YunetFaces
from voicediff.video.footage import Cut, Footage, cut_people, pictured
from voicediff.video.people import Person, invisible, people_of, present
from voicediff.video.tracking import FaceTracker


@dataclass(frozen=True)
class FaceSearch:
    """How the people of a recording are found.

    Attributes:
        boxes: file of face boxes; no faces are searched then.
        pictures: portraits of people who speak but are not visible.
        count: number of people; None: as many as are found.
        yunet: model file of YuNet, a better detector than OpenCV's Haar cascade.
        min_face: smallest face, as a share of the shorter side of the image.
    """

    boxes: str | Path | None = None
    pictures: Sequence[str | Path] = ()
    count: int | None = None
    yunet: str | Path | None = None
    min_face: float = 0.12

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"people: expected 1 or more, found {self.count}")
        if self.boxes and self.count:
            raise ConfigError("boxes state how many people there are; leave people out")
        if not 0 < self.min_face < 1:
            raise ConfigError(
                f"min-face: expected a share between 0 and 1, found {self.min_face:g}"
            )

    def detector(self) -> FaceDetector:
        return YunetFaces(self.yunet) if self.yunet else HaarFaces(self.min_face)

    def find(
        self, footage: Footage, start: float, detector: FaceDetector, progress: Progress
    ) -> list[Person]:
        """The visible people. Raises DataError where there are none and no picture is given."""
        if not footage.moving:
            if not self.pictures:
                raise DataError(
                    f"{footage.path}: has no pictures; give a picture of each speaker with --face "
                    "PICTURE"
                )
            return []
        if self.boxes:
            return read_people(self.boxes, footage.frames, start)
        tracker = FaceTracker(detector)
        for image, real in watched(footage, "finding faces", progress):
            tracker.add(image, real)
        people = people_of(tracker.finish(), tracker.index, self.count)
        if not people and not self.pictures:
            raise DataError(
                f"{footage.path}: no face is visible for 0.5 s or longer; try --min-face 0.06 for "
                "small faces, --yunet for turned ones, or give the positions with --boxes"
            )
        return people


def scene_of(
    footage: Footage,
    search: FaceSearch,
    start: float,
    keep_unseen: bool,
    progress: Progress,
) -> tuple[Scene, list[Person]]:
    """Mixture, mouths and faces of the people of a recording, and who they are.

    A person takes part while visible (`keep_unseen`: always); a person of a picture always does.
    """
    detector = search.detector()
    people = search.find(footage, start, detector, progress)
    cuts: list[Cut] = []
    if people:
        cuts = cut_people(watched(footage, "cutting mouths", progress), people)
    cuts += [pictured(path, detector) for path in search.pictures]
    people = named(people + [invisible(Path(path).stem) for path in search.pictures])
    always = np.ones(footage.frames, bool)
    takes_part = [
        always if keep_unseen or not len(person.mouth.valid) else present(person.mouth.valid)
        for person in people
    ]
    scene = Scene(
        footage.sound,
        [cut.mouth for cut in cuts],
        [cut.valid[: len(cut.mouth)] for cut in cuts],
        np.stack([cut.face for cut in cuts]),
        takes_part,
    )
    return scene, people


def named(people: list[Person]) -> list[Person]:
    """Give each person a name that is unique and can be a file name."""
    taken = {"residual", "people"}
    for number, person in enumerate(people):
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in person.name)
        wanted = safe or f"person{number + 1}"
        name, more = wanted, 2
        while name in taken:
            name, more = f"{wanted}_{more}", more + 1
        person.name = name
        taken.add(name)
    return people
