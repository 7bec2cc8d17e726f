"""Log of a long measurement: an interrupted run resumes after the last finished result."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voicediff.files import write_text


class MeasurementLog:
    """A file of JSON lines: first the facts that determine all results, then one result a line.

    Results with other facts (another model, data, seed) are discarded, and so is an incomplete
    last line of an interrupted run.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]):
        self.path = path
        self.done: dict[str, dict[str, Any]] = {}
        lines = _lines(path)
        if lines and lines[0] == dict(facts):
            self.done = {line["key"]: line for line in lines[1:]}
        kept = [dict(facts), *self.done.values()]
        write_text(path, "".join(_text(line) for line in kept))

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Append a finished result; it is on the disk when this returns."""
        self.done[key] = {"key": key, **result}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(_text(self.done[key]))
            file.flush()
            os.fsync(file.fileno())


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"


def _lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of the file; an empty list if there is no file."""
    found = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                break
    return found
