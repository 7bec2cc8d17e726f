"""Atomic writing of files and folders."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from voicediff.errors import DataError

_FLUSHED = "r+b" if os.name == "nt" else "rb"  # Windows flushes only files open for writing


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to `path` when the block succeeds.

    Raises DataError if it cannot be written (a full disk, a missing permission).
    """
    path = Path(path)
    part = _beside(path)
    with _disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            _flush(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """`whole_file`, opened as a binary file."""
    with whole_file(path) as part, open(part, "wb") as file:
        yield file
        file.flush()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to `path` when the block succeeds.

    Raises DataError if it cannot be written. A crash between the last two renames leaves the
    former folder as `path~`.
    """
    path = Path(path)
    part, aside = _beside(path), path.with_name(path.name + "~")
    with _disk_errors(path):
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            for file in filter(Path.is_file, part.rglob("*")):
                _flush(file)
            shutil.rmtree(aside, ignore_errors=True)
            if path.exists():
                path.replace(aside)
            part.replace(path)
            shutil.rmtree(aside, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` to `path` as indented JSON in UTF-8, atomically."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def _beside(path: Path) -> Path:
    """A hidden name in the same folder, so that renaming is atomic, with the same suffix."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def _flush(path: Path) -> None:
    """Write the content to the disk before the file is renamed."""
    with open(path, _FLUSHED) as file:
        os.fsync(file.fileno())
