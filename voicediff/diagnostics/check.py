"""The result of a check: measured value, limit, passed or not; and a table of checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from voicediff.report.table import MISSING

WORDS = {True: "yes", False: "NO", None: MISSING}


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: key in doctor.json. title: text of the table.
        measured, limit: as text; the limit is empty if the value is for information only.
        passed: None without a limit, or if nothing could be measured.
        figures: the measured numbers.
    """

    name: str
    title: str
    measured: str
    limit: str = ""
    passed: bool | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def above(name: str, title: str, value: float, least: float, unit: str, digits: int = 1) -> Check:
    """Passed above a limit; nan never passes."""
    shown, limit = f"{value:.{digits}f} {unit}".strip(), f"> {least:g} {unit}".strip()
    return Check(name, title, shown, limit, value > least, {"value": value})


def below(name: str, title: str, value: float, most: float, unit: str, digits: int = 1) -> Check:
    """Passed below a limit; nan never passes."""
    shown, limit = f"{value:.{digits}f} {unit}".strip(), f"< {most:g} {unit}".strip()
    return Check(name, title, shown, limit, value < most, {"value": value})


def reported(name: str, title: str, measured: str, **figures: Any) -> Check:
    """A value for information, without a limit."""
    return Check(name, title, measured, figures=figures)


def not_measured(name: str, title: str, why: str) -> Check:
    return Check(name, title, f"not measured: {why}")


def table(checks: Iterable[Check]) -> str:
    """Columns for a terminal: check, measured, limit, passed."""
    rows = [("check", "measured", "limit", "passed")]
    rows += [(g.title, g.measured, g.limit, WORDS[g.passed]) for g in checks]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def failed(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if check.passed is False]
