"""A prepared clip in one file: audio, mouth crops, their validity, and a face."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from voicediff.errors import DataError
from voicediff.files import replacing
from voicediff.video.constants import FACE, HOP, MOUTH


@dataclass
class Clip:
    """T frames of one talking person; frame k belongs to samples [640 k, 640 (k + 1)).

    Attributes:
        audio: (T * 640,) int16 at 16 kHz.
        mouth: (T, 96, 96) uint8, grey.
        valid: (T,) bool, False where the mouth was not detected.
        face: (224, 224, 3) uint8 RGB, one image of the person (black if there is none).
    """

    audio: np.ndarray
    mouth: np.ndarray
    valid: np.ndarray
    face: np.ndarray

    def __len__(self) -> int:
        return len(self.valid)


def as_int16(sound: np.ndarray) -> np.ndarray:
    """Audio in [-1, 1] as 16-bit integers, clipped."""
    return np.round(np.clip(sound, -1, 32767 / 32768) * 32768).astype(np.int16)


def as_float(audio: np.ndarray) -> np.ndarray:
    """16-bit integers as float32 in [-1, 1)."""
    return audio.astype(np.float32) / 32768


def write_clip(path: str | Path, clip: Clip) -> None:
    """Write an uncompressed `.npz` atomically; equal clips give equal bytes."""
    _check(clip, path)
    arrays = {name: np.ascontiguousarray(getattr(clip, name)) for name in _NAMES}
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # np.savez would write the current time into the file
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as out:
                np.lib.format.write_array(out, array, allow_pickle=False)


def read_clip(path: str | Path, start: int = 0, frames: int | None = None) -> Clip:
    """Frames [start, start + frames) of a clip; only these are read from the disk.

    Raises DataError for a file that is missing, damaged or too short.
    """
    arrays = _mapped(path)
    length = len(arrays["valid"])
    stop = length if frames is None else start + frames
    if not 0 <= start <= stop <= length:
        raise DataError(f"{path}: has {length} frames, [{start}, {stop}) asked for")
    return Clip(
        audio=np.array(arrays["audio"][start * HOP : stop * HOP]),
        mouth=np.array(arrays["mouth"][start:stop]),
        valid=np.array(arrays["valid"][start:stop]),
        face=np.array(arrays["face"]),
    )


def clip_frames(path: str | Path) -> int:
    """Number of frames of a clip. Raises DataError for a file that is missing or damaged."""
    return len(_mapped(path)["valid"])


_NAMES = ("audio", "mouth", "valid", "face")


def _check(clip: Clip, path: str | Path) -> None:
    frames = len(clip.valid)
    wanted = {
        "audio": ((frames * HOP,), np.int16),
        "mouth": ((frames, MOUTH, MOUTH), np.uint8),
        "valid": ((frames,), np.bool_),
        "face": ((FACE, FACE, 3), np.uint8),
    }
    for name, (shape, kind) in wanted.items():
        array = getattr(clip, name)
        if array.shape != shape or array.dtype != kind:
            raise ValueError(f"{path}: {name} is {array.dtype} {array.shape}, not {shape}")


def _mapped(path: str | Path) -> dict[str, np.ndarray]:
    """The members of the archive as memory-mapped arrays. Raises DataError."""
    try:
        status = os.stat(path)
        places = _places(str(path), status.st_mtime_ns, status.st_size)
        with open(path, "rb") as file:
            archive = np.frombuffer(mmap(file.fileno(), 0, access=ACCESS_READ), np.uint8)
        return {name: place.of(archive) for name, place in places.items()}
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable clip ({error}); delete it and run stage 2 again"
        ) from error


class _Place(NamedTuple):
    """Offset of an array in the archive in bytes, its shape and type."""

    begin: int
    shape: tuple[int, ...]
    kind: np.dtype

    def of(self, archive: np.ndarray) -> np.ndarray:
        end = self.begin + math.prod(self.shape) * self.kind.itemsize
        if end > len(archive):
            raise ValueError("the file ends too early")
        return archive[self.begin : end].view(self.kind).reshape(self.shape)


@lru_cache(maxsize=20_000)
def _places(path: str, changed: int, size: int) -> dict[str, _Place]:
    """Places of the members, cached until the file changes.

    Reading the headers takes longer than reading a few seconds of a clip.
    """
    places = {}
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        for name in _NAMES:
            with archive.open(f"{name}.npy") as member:
                version = np.lib.format.read_magic(member)
                read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
                shape, fortran, kind = read_header(member)
                header = member.tell()
            if fortran:
                raise ValueError(f"{name} is stored by columns")
            begin = _begin_of(file, archive.getinfo(f"{name}.npy")) + header
            places[name] = _Place(begin, shape, kind)
    return places


def _begin_of(file, member: zipfile.ZipInfo) -> int:
    """Offset of the member's data: after its local header (30 bytes, name, extra field)."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    file.seek(member.header_offset + 26)
    name, extra = np.frombuffer(file.read(4), "<u2")
    return member.header_offset + 30 + int(name) + int(extra)
