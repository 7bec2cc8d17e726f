"""Face tracking: identity, position and time of faces, through gaps, crossings and missed detections."""

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("cv2")
pytest.importorskip("espeakng_loader")

from face_detectors import haar

from voicediff.corpora.lrs3 import make_clip, plan
from voicediff.corpora.lrs3.interview import Guest, Interview
from voicediff.video.faces import Boxes, FaceDetector, mouth_of
from voicediff.video.people import people_of, present, spans_of
from voicediff.video.tracking import FaceTracker, found_again, matched, single


@pytest.fixture(scope="module")
def clips():
    """One clip of each of three people."""
    test = [p for p in plan(30.0, seed=1) if p.split == "test" and p.number == 0]
    return [make_clip(p) for p in test[:3]]


class Known(FaceDetector):
    """A detector that returns the exact faces of an interview, with a given share of misses."""

    def __init__(self, interview, misses=0.0, false=0):
        self.boxes, self.draw = interview.mouths(), np.random.default_rng(0)
        self.misses, self.false = misses, false
        self.pictures = [interview.picture(k) for k in range(interview.frames)]

    def __call__(self, image):
        frame = next(k for k, p in enumerate(self.pictures) if np.array_equal(p, image))
        rows = [
            (x - w / 3, y - w, w / 0.6, w / 0.6, 50.0)
            for x, y, w, _ in self.boxes[:, frame]
            if np.isfinite(x) and self.draw.random() >= self.misses
        ]
        rows += [(300, 20, 60, 60, 3.0)] * (self.false == frame > 0)
        return np.array(rows, np.float32).reshape(-1, 5)


def followed(interview, detector, count=None, every=5):
    tracker = FaceTracker(detector, every)
    for frame in range(interview.frames):
        tracker.add(interview.picture(frame))
    return people_of(tracker.finish(), interview.frames, count)


def spans(interview):
    return [spans_of(guest.visible(interview.frames)) for guest in interview.guests]


def middles(boxes):
    return boxes[..., :2] + boxes[..., 2:] / 2


def test_people_found_with_haar_have_the_right_positions_and_times(clips):
    """A late entry and a gap; each start and end is within one frame of the truth."""
    guests = (
        Guest(clips[0], 0, (10, 80)),
        Guest(clips[1], 12, (225, 80)),
        Guest(clips[2], 7, (435, 80), hidden=((30, 50),)),
    )
    interview, detector = Interview(guests, 80), haar()
    if detector is None:
        return
    people = followed(interview, detector)
    order = [0, 2, 1]  # of their coming
    assert len(people) == 3
    for person, guest in zip(people, order, strict=True):
        wanted = spans(interview)[guest]
        assert len(person.spans()) == len(wanted)
        assert np.abs(np.subtract(person.spans(), wanted)).max() <= 1
        truth, visible = interview.mouths()[guest], person.mouth.valid
        visible = visible & np.isfinite(truth[:, 0])
        away = np.linalg.norm(
            middles(person.mouth.boxes)[visible] - middles(truth)[visible], axis=1
        )
        assert away.mean() < 0.15 * truth[visible, 2].mean()


def test_mouth_boxes_of_detected_faces_have_the_size_of_the_training_crops():
    """A single box may be wrong by a third; the median of two dozen may not."""
    ratios, detector = [], haar()
    if detector is None:
        return
    for one in [p for p in plan(30.0, seed=1) if p.number == 0][:48:2]:
        interview = Interview((Guest(make_clip(one), 0, (150, 60)),), 20)
        found = detector(interview.picture(10))[:, :4]
        if len(found) == 1:
            mouth = mouth_of(Boxes(found, np.ones(1, bool))).boxes[0]
            ratios.append(mouth[2] / interview.mouths()[0, 10, 2])
    assert len(ratios) >= 20
    assert np.median(ratios) == pytest.approx(1, abs=0.08)


def test_people_who_cross_keep_their_identities(clips):
    """The one behind is lost and detected again on the other side."""
    frames = min(len(clips[1]), len(clips[2]), 70)
    step = 420 / frames
    guests = (
        Guest(clips[1], 0, (0, 80), moves=step),
        Guest(clips[2], 0, (440, 80), moves=-step),
    )
    interview = Interview(guests, frames)
    people = followed(interview, Known(interview), every=1)
    assert len(people) == 2
    for person in people:
        x = middles(person.face.boxes)[:, 0]
        first, last = np.flatnonzero(person.face.valid)[[0, -1]]
        assert first == 0 and last == frames - 1
        assert abs(x[last] - x[0]) > 300  # and not back to where it came from


def test_missed_detections_do_not_split_a_track(clips):
    interview = Interview((Guest(clips[0], 3, (10, 80)),), 60)
    tracker = FaceTracker(Known(interview, misses=0.5))
    for frame in range(60):
        tracker.add(interview.picture(frame))
    tracks = tracker.finish()
    assert [(track.first, track.last) for track in tracks] == [(3, 59)]
    assert 0 < tracks[0].found < tracks[0].scans


def test_a_single_false_detection_is_not_a_person(clips):
    interview = Interview((Guest(clips[0], 0, (10, 80)),), 50)
    assert len(followed(interview, Known(interview, false=20))) == 1


def test_without_a_face_there_are_no_people():
    detector = haar()
    if detector is None:
        return
    tracker = FaceTracker(detector)
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for _ in range(20):
        tracker.add(noise)
    assert people_of(tracker.finish(), 20) == []


def test_the_number_of_people_may_be_given(clips):
    guests = (Guest(clips[0], 0, (10, 80)), Guest(clips[1], 0, (225, 80), hidden=((30, 70),)))
    interview = Interview(guests, 60)
    people = followed(interview, Known(interview), count=1)
    assert len(people) == 1 and middles(people[0].face.boxes)[5, 0] < 220  # the longer one stays


def test_a_track_ends_where_the_video_has_no_picture(clips):
    interview = Interview((Guest(clips[0], 0, (10, 80)),), 50)
    tracker = FaceTracker(Known(interview))
    for frame in range(50):
        tracker.add(interview.picture(frame), shown=not 20 <= frame < 30)
    (person,) = people_of(tracker.finish(), 50)
    assert spans_of(person.face.valid) == [(0, 20), (30, 50)]
    assert person.spans() == [(0, 50)]  # half a second is no absence


def test_present_closes_short_gaps_only():
    valid = np.zeros(60, bool)
    valid[5:10] = valid[20:30] = valid[50:] = True
    assert spans_of(present(valid)) == [(5, 30), (50, 60)]


def test_a_face_is_not_found_in_a_uniform_picture_or_in_noise():
    draw = np.random.default_rng(0)
    patch = draw.integers(0, 256, (32, 32), dtype=np.uint8)
    box = np.array([20.0, 20, 32, 32])
    assert found_again(patch, np.full((100, 100), 90, np.uint8), box) is None
    assert found_again(patch, draw.integers(0, 256, (100, 100), dtype=np.uint8), box) is None
    wall = np.full((100, 100), 90, np.uint8)
    wall[24:56, 17:49] = patch
    np.testing.assert_allclose(found_again(patch, wall, box), [17, 24, 32, 32])


def test_a_box_inside_a_better_one_is_dropped():
    rows = np.array([[0, 0, 100, 100, 40], [30, 40, 30, 30, 5], [200, 0, 90, 90, 30]], np.float32)
    assert single(rows)[:, 4].tolist() == [40, 30]


def test_boxes_are_matched_to_the_tracks_that_they_overlap_most():
    class Place:
        def __init__(self, x):
            self.place = np.array([x, 0, 100, 100])

    left, right = Place(0), Place(60)
    found = np.array([[55, 0, 100, 100], [10, 0, 100, 100], [400, 0, 100, 100]], np.float32)
    pairs = {
        (None if t is None else t.place[0]): box[0] for t, box in matched([left, right], found)
    }
    assert pairs == {0: 10, 60: 55, None: 400}
