"""Decoding in several jobs: which batches a job decodes, and how their parts become one row.

A job with `--shard I/N` takes every Nth batch, so each batch, its padding and its noise are those of
a single job, and so are the results. It writes its rows below OUT/parts; a call without `--shard`
joins parts that are complete and were made with the same settings.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from voicediff.errors import ConfigError

PARTS = "parts"
INFO = "info.json"
S = TypeVar("S", bound=Sequence)


@dataclass(frozen=True)
class Shard:
    """Job number `index`, from 1, of `count`."""

    index: int = 1
    count: int = 1

    def of(self, batches: S) -> S:
        return batches[self.index - 1 :: self.count]

    def folder(self, out: Path) -> Path:
        """Where the job writes its rows: `out` itself for a single job."""
        return out if self.count == 1 else out / PARTS / f"{self.index}_of_{self.count}"


def read_shard(text: str | None) -> Shard:
    """`2/4` as a Shard, None as the only one. Raises ConfigError."""
    if text is None:
        return Shard()
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise ConfigError(f"--shard: expected I/N with 1 <= I <= N, found {text!r}")
    return Shard(index, count)


def is_done(folder: Path, facts: Mapping[str, Any]) -> bool:
    """True where the folder's info.json has these facts."""
    path = folder / INFO
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))
    return all(found.get(key) == value for key, value in facts.items())


def finished_parts(out: Path, row: str, facts: Mapping[str, Any]) -> list[Path]:
    """The folders of a row that all jobs of one run have written with these facts, or none."""
    first = [path.name for path in (out / PARTS).glob("1_of_*")]
    for count in sorted(int(name.rpartition("_")[2]) for name in first):
        parts = [Shard(index, count).folder(out) / row for index in range(1, count + 1)]
        if count > 1 and all(is_done(part, facts) for part in parts):
            return parts
    return []


def join_parts(parts: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Copy the files of all parts into `folder`. Returns the last part's info, its `work` summed."""
    work: dict[str, float] = {}
    info: dict[str, Any] = {}
    for part in parts:
        info = json.loads((part / INFO).read_text(encoding="utf-8"))
        for name, value in info["work"].items():
            work[name] = work.get(name, 0.0) + value
        shutil.copytree(part, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(INFO))
    return info | {"work": work}


def remove_parts(out: Path) -> None:
    shutil.rmtree(out / PARTS, ignore_errors=True)
