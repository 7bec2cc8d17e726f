"""Files with boxes, and arrays on disk."""

import json

import numpy as np
import pytest

pytest.importorskip("cv2")

from voicediff.errors import DataError
from voicediff.video.boxes import face_around, read_people, rows_of
from voicediff.video.disk_array import DiskArray
from voicediff.video.faces import Boxes, mouth_of

BOX = [10.0, 20.0, 100.0, 100.0]


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_has_one_entry_per_frame(tmp_path):
    content = {"fps": 25, "people": [{"name": "anna", "boxes": [BOX, None, BOX]}]}
    (anna,) = read_people(written(tmp_path / "a.json", content), 5)
    assert anna.name == "anna" and anna.face.valid.tolist() == [True, False, True, False, False]
    np.testing.assert_allclose(anna.mouth.boxes[0], [30, 70, 60, 60])


def test_json_with_another_rate_and_start_is_read_by_time(tmp_path):
    rows = [[x, 0, 50, 50] for x in range(100)]
    content = {"fps": 50, "start": 1.0, "people": [{"boxes": rows}]}
    path = written(tmp_path / "a.json", content)
    (person,) = read_people(path, 30, start=0.8)
    assert person.name == "person1"
    assert not person.face.valid[:5].any() and person.face.valid[5:].all()
    np.testing.assert_allclose(person.face.boxes[5:, 0], 1 + 2 * np.arange(25))


def test_mouths_may_be_given_in_place_of_faces(tmp_path):
    (person,) = read_people(written(tmp_path / "a.json", {"mouth": [[30, 70, 60, 60]]}), 1)
    np.testing.assert_allclose(person.mouth.boxes[0], [30, 70, 60, 60])
    np.testing.assert_allclose(person.face.boxes[0], BOX, rtol=1e-5)


def test_csv_is_interpolated_between_near_rows(tmp_path):
    rows = ["person,time,left,top,width,height", "anna,0.02,0,0,50,50", "anna,0.42,100,0,50,50"]
    rows += ["anna,2.02,100,0,50,50", "ben,0.5,7,7,9,9"]
    anna, ben = read_people(written(tmp_path / "a.csv", "\n".join(rows)), 60)
    np.testing.assert_allclose(anna.face.boxes[:11, 0], 10 * np.arange(11), atol=1e-3)
    assert np.flatnonzero(anna.face.valid).tolist() == [*range(11), 50]
    assert ben.name == "ben" and np.flatnonzero(ben.face.valid).tolist() == [12]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not a file of boxes"),
        ("a.json", {"people": [{"name": "x"}]}, "'boxes' is missing"),
        ("a.json", {"people": [{"boxes": [[0, 0, -1, 5]]}]}, "negative size"),
        ("a.json", {"people": [{"boxes": [None]}]}, "holds no box"),
        ("a.json", {"people": 3}, "not a file of boxes"),
        ("a.csv", "person,time,left\n", "'column height' is missing"),
        ("a.csv", "person,time,left,top,width,height\nx,a,0,0,1,1\n", "could not convert"),
    ],
)
def test_an_invalid_file_is_an_error(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read_people(written(tmp_path / name, content), 10)


def test_written_boxes_are_read_back():
    boxes = Boxes(np.float32([[1.04, 2, 3, 3], [0, 0, 0, 0]]), np.array([True, False]))
    assert rows_of(boxes) == [[1.0, 2.0, 3.0, 3.0], None]


def test_face_around_is_the_inverse_of_mouth_of():
    faces = Boxes(np.float32([BOX]), np.ones(1, bool))
    np.testing.assert_allclose(face_around(mouth_of(faces)).boxes, faces.boxes, atol=1e-4)


def test_an_array_on_disk_returns_its_rows():
    rows = np.random.default_rng(0).integers(0, 255, (70, 4, 5)).astype(np.uint8)
    array = DiskArray((4, 5), np.uint8)
    for part in (rows[:1], rows[1:50], rows[50:50], rows[50:]):
        array.append(part)
    assert len(array) == 70
    for part in (slice(0, 3), slice(48, 52), slice(60, 90), slice(80, 90), slice(None)):
        np.testing.assert_array_equal(array[part], rows[part])
    with pytest.raises(ValueError, match="expected"):
        array.append(np.zeros((1, 5, 4)))
