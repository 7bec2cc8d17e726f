"""Atomic writing of files and folders."""

import errno
import os

import numpy as np
import pytest

from voicediff import files
from voicediff.errors import DataError
from voicediff.files import whole_file, whole_folder
from voicediff.video.disk_array import DiskArray


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_and_its_folders_are_created(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    for text in ("one", "two"):
        with whole_file(path) as new:
            assert new.suffix == ".txt"
            new.write_text(text)
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_a_one_line_data_error(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt: cannot be written: No space left"):
        with whole_file(tmp_path / "a.txt") as new:
            new.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "row"
    for name in ("first", "second"):
        with whole_folder(path) as new:
            (new / name).write_text(name)
    assert [p.name for p in path.iterdir()] == ["second"]
    with pytest.raises(ZeroDivisionError), whole_folder(path) as new:
        (new / "third").write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_on_windows_files_are_flushed_while_open_for_writing(tmp_path, monkeypatch):
    flush, flushed = os.fsync, []

    def windows(descriptor):
        os.write(descriptor, b"")  # refused where the file is open for reading only
        flushed.append(flush(descriptor))

    monkeypatch.setattr(os, "fsync", windows)
    monkeypatch.setattr(files, "_FLUSHED", "r+b")
    with whole_folder(tmp_path / "row") as new:
        (new / "first").write_text("1")
    with whole_file(tmp_path / "a.txt") as path:
        path.write_text("one")
    assert flushed == [None, None] and (tmp_path / "a.txt").read_text() == "one"


def test_an_array_on_disk_is_readable_while_it_grows():
    array, rows = DiskArray((3,), np.int16), np.arange(30, dtype=np.int16).reshape(10, 3)
    array.append(rows[:4])
    assert np.array_equal(array[1:3], rows[1:3])
    array.append(rows[4:])
    assert len(array) == 10 and np.array_equal(array[2:9], rows[2:9]) and not len(array[5:5])
