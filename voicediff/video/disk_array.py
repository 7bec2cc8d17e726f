"""Long arrays in a temporary file: rows are appended, slices are read back."""

from __future__ import annotations

import tempfile
from threading import Lock

import numpy as np


class DiskArray:
    """Rows of one shape in a temporary file, which is deleted with the object.

    Slices are copies: unlike with a memory map, pages that were read do not count as memory of the
    process.

    Args:
        shape: of one row, e.g. (96, 96), or () for sound.
        dtype: of the elements.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._bytes = int(np.prod(shape, dtype=int)) * self.dtype.itemsize
        self._file = tempfile.TemporaryFile(buffering=0)
        self._length = 0
        self._lock = Lock()  # the file position is shared by all readers

    def __len__(self) -> int:
        return self._length

    def append(self, rows: np.ndarray) -> None:
        """Add rows (n, *shape) at the end."""
        rows = np.ascontiguousarray(rows, self.dtype)
        if rows.shape[1:] != self.shape:
            raise ValueError(f"rows of shape {rows.shape[1:]}, expected {self.shape}")
        data = memoryview(rows.reshape(-1)).cast("B")
        with self._lock:
            self._file.seek(self._length * self._bytes)
            while len(data):
                data = data[self._file.write(data) :]
            self._length += len(rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Rows [start, stop) as an array of their own."""
        start, stop, step = part.indices(self._length)
        if step != 1:
            raise IndexError("only slices with step 1 are supported")
        count = max(stop - start, 0)
        data = bytearray(count * self._bytes)
        view = memoryview(data)
        with self._lock:
            self._file.seek(start * self._bytes)
            while len(view):
                view = view[self._file.readinto(view) :]
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape)
