"""Tables of scores: columns, best values, and output as Markdown or plain text."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["lower", "higher", "near", ""]
ARROWS: dict[str, str] = {"lower": "↓", "higher": "↑", "near": "→", "": ""}
MISSING = "–"


@dataclass(frozen=True)
class Column:
    """One quantity.

    Attributes:
        key: its name in `Row.values`.
        title: heading; `unit` follows in parentheses.
        better: `lower`, `higher`, `near` (to the goal), or "" if it is not rated.
        goal: with `near`: a number, or the key of the row whose value is the goal.
        digits: after the point.
        scale: factor applied before a value is shown (100 for a share in %).
        meaning: one sentence.
    """

    key: str
    title: str
    unit: str = ""
    better: Better = ""
    goal: float | str = ""
    digits: int = 2
    scale: float = 1.0
    meaning: str = ""

    @property
    def heading(self) -> str:
        """E.g. `MCD (dB) ↓`."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit} {self.arrow}".rstrip()

    @property
    def arrow(self) -> str:
        """Direction of better values: `↓`, `↑`, or `→` and the goal."""
        goal = self.goal if isinstance(self.goal, str) else f"{self.goal:g}"
        return ARROWS[self.better] + (goal if self.better == "near" else "")

    def text(self, value: float | None) -> str:
        """A value as text; a dash if nothing was measured."""
        if value is None or not math.isfinite(value):
            return MISSING
        return f"{value * self.scale:.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """One line of a table. A `reference` (recording, upper bound) is never marked as best."""

    key: str
    title: str
    values: Mapping[str, float | None]
    reference: bool = False


@dataclass(frozen=True)
class Table:
    """A titled table of rows and columns."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    row_heading: str = "row"
    best: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        best = {column.key: self._best(column) for column in self.columns}
        object.__setattr__(self, "best", best)

    def cells(self, row: Row) -> list[str]:
        return [column.text(row.values.get(column.key)) for column in self.columns]

    def is_best(self, row: Row, column: Column) -> bool:
        return row.key in self.best[column.key]

    def _best(self, column: Column) -> frozenset[str]:
        """Keys of the rows with the best value; none if fewer than two rows can be compared."""
        shown = {row.key: self._shown(row, column) for row in self.rows}
        shown = {key: value for key, value in shown.items() if value is not None}
        goal = shown.get(column.goal) if isinstance(column.goal, str) else column.goal
        rivals = {row.key for row in self.rows if not row.reference} & shown.keys()
        if not column.better or len(rivals) < 2 or (column.better == "near" and goal is None):
            return frozenset()
        costs = {
            "lower": lambda value: value,
            "higher": lambda value: -value,
            "near": lambda value: abs(value - goal),
        }
        cost = {key: costs[column.better](shown[key]) for key in rivals}
        return frozenset(key for key in rivals if cost[key] <= min(cost.values()) + 1e-12)

    def _shown(self, row: Row, column: Column) -> float | None:
        """The value rounded as in the table, so that equal texts count as equal."""
        value = row.values.get(column.key)
        if value is None or not math.isfinite(value):
            return None
        return round(value * column.scale, column.digits) / column.scale


def markdown(table: Table) -> str:
    """A Markdown table; the best of each column is bold."""
    head = [table.row_heading, *(column.heading for column in table.columns)]
    lines = [head, ["---", *("---:" for _ in table.columns)]]
    for row in table.rows:
        cells = zip(table.columns, table.cells(row), strict=True)
        marked = (f"**{text}**" if table.is_best(row, column) else text for column, text in cells)
        lines.append([row.title, *marked])
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def plain(table: Table) -> str:
    """The table for a terminal: headings over two lines, columns aligned, the best starred."""
    units = [f"{c.unit} {c.arrow}".strip() for c in table.columns]
    head = [[table.row_heading, *(c.title for c in table.columns)], ["", *units]]
    body = []
    for row in table.rows:
        cells = zip(table.columns, table.cells(row), strict=True)
        body.append([row.title, *(text + " *"[table.is_best(row, c)] for c, text in cells)])
    head = [[text + " " * (i > 0) for i, text in enumerate(line)] for line in head]
    widths = [max(map(_width, column)) for column in zip(*head, *body, strict=True)]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    lines = [_aligned(line, widths) for line in (*head, *body)]
    return "\n".join((*lines[:2], rule, *lines[2:]))


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _aligned(cells: list[str], widths: list[int]) -> str:
    """The first cell to the left, numbers to the right."""
    spaces = [" " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    first, *others = (
        cell + space if i == 0 else space + cell
        for i, (cell, space) in enumerate(zip(cells, spaces, strict=True))
    )
    return "  ".join((first, *others)).rstrip()


def _width(text: str) -> int:
    """Width in a terminal: Hangul takes two columns."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
