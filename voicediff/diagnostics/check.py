"""One check: what was measured, what it may be, whether it was passed; and a table of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from voicediff.report.table import MISSING

WORDS = {True: "yes", False: "NO", None: MISSING}


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: in doctor.json. title: for people.
        measured, limit: as people read them; no limit where something is only told.
        passed: None where there is nothing to pass, or nothing that could be measured.
        figures: numbers behind it.
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
    """Passed above a limit; nan never is."""
    shown, limit = f"{value:.{digits}f} {unit}".strip(), f"> {least:g} {unit}".strip()
    return Check(name, title, shown, limit, value > least, {"value": value})


def below(name: str, title: str, value: float, most: float, unit: str, digits: int = 1) -> Check:
    """Passed below a limit; nan never is."""
    shown, limit = f"{value:.{digits}f} {unit}".strip(), f"< {most:g} {unit}".strip()
    return Check(name, title, shown, limit, value < most, {"value": value})


def reported(name: str, title: str, measured: str, **figures: Any) -> Check:
    """Nothing to pass: printed so that it is seen."""
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
