"""Kaldi-style tables: lines `key value`, sorted by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voicediff.errors import DataError
from voicediff.files import write_text


def write_table(path: str | Path, rows: Mapping[str, object]) -> None:
    """Write `key value` lines sorted by key, atomically. Raises DataError for an invalid key."""
    lines = []
    for key in sorted(rows):
        if not key or any(c.isspace() for c in key):
            raise DataError(f"{path}: {key!r} cannot be a key; remove the white space")
        lines.append(f"{key} {' '.join(str(rows[key]).split())}".rstrip() + "\n")
    write_text(path, "".join(lines))


def read_table(path: str | Path) -> dict[str, str]:
    """Read `key value` lines. Raises DataError with `path:line` for a missing or duplicate key."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run stage 1 again") from error
    rows: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        key, _, value = line.strip().partition(" ")
        if not key or key in rows:
            what = "no key" if not key else f"{key!r} is given twice"
            raise DataError(f"{path}:{number}: {what}; a line is `key value`")
        rows[key] = value.strip()
    return rows
