"""The report on quality against NFE: nfe.json, speed.json, REPORT.md, a plot, and the recommended
sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicediff.config import dump_yaml
from voicediff.files import replacing, write_json, write_text
from voicediff.report.chart import Points, scatter
from voicediff.report.settings import Setting
from voicediff.report.table import Column, Row, Table, markdown

LOWEST, HIGHEST = 0.8, 1.2  # range of the variance ratio in which a setting may be recommended
NFE = Column("calls", "NFE", digits=0)
SPEED = Column("rtf", "real-time factor", digits=4)


@dataclass(frozen=True)
class Measured:
    """The result of a setting: metrics and real-time factor, or why it was not possible."""

    setting: Setting
    scores: Mapping[str, float | None]
    rtf: float | None = None
    refused: str = ""

    def score(self, key: str) -> float:
        """A metric, nan if it was not measured."""
        value = self.scores.get(key)
        return math.nan if value is None else value


@dataclass(frozen=True)
class Judged:
    """The deciding metrics: `quality`, and a variance ratio that excludes over-smoothed outputs."""

    quality: Column
    variance: Column | None = None

    def cost(self, found: Measured) -> float:
        """The quality with the sign changed if higher is better."""
        value = found.score(self.quality.key)
        return -value if self.quality.better == "higher" else value

    def in_range(self, found: Measured) -> bool:
        """Whether the variance ratio is near 1; True without such a metric."""
        return self.variance is None or (LOWEST <= found.score(self.variance.key) <= HIGHEST)


@dataclass(frozen=True)
class Choice:
    """The recommended setting and the reason as text."""

    found: Measured
    reason: str


def recommend(measured: Sequence[Measured], by: Judged, margin: float) -> Choice | None:
    """The setting with the smallest NFE among those within `margin` (a share) of the best quality.

    Settings whose variance ratio is out of range are excluded, unless all are. None if no setting
    was measured.
    """
    known = [found for found in measured if math.isfinite(found.score(by.quality.key))]
    if not known:
        return None
    in_range = [found for found in known if by.in_range(found)]
    rivals = in_range or known
    best = min(rivals, key=by.cost)
    limit = by.cost(best) + margin * abs(by.cost(best))
    near = [found for found in rivals if by.cost(found) <= limit]
    cheapest = min(near, key=lambda found: (found.setting.nfe, by.cost(found)))
    reason = (
        f"the smallest NFE within {margin:.0%} of the best {by.quality.title} "
        f"({by.quality.text(best.score(by.quality.key))}: {best.setting.title}, "
        f"NFE {best.setting.nfe}){_among(by, bool(in_range))}"
    )
    return Choice(cheapest, reason)


def _among(by: Judged, any_in_range: bool) -> str:
    if by.variance is None:
        return ""
    span = f"a {by.variance.title} from {LOWEST:g} to {HIGHEST:g}"
    return f", among settings with {span}" if any_in_range else f", although no setting has {span}"


class NFEReport:
    """All files of the report.

    Args:
        folder: output folder.
        facts: data, model and settings; equal facts give an equal nfe.json.
        columns: the metrics to show.
        references: rows without a sampler, e.g. `mu`, by name.
        notes: text on metrics and references.
    """

    def __init__(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        measured: Sequence[Measured],
        references: Mapping[str, Mapping[str, float | None]],
        columns: Sequence[Column],
        by: Judged,
        margin: float,
        notes: str = "",
    ):
        self.notes = notes
        self.folder, self.facts, self.measured = folder, facts, measured
        self.references, self.by, self.margin = references, by, margin
        rows = [found.scores for found in measured] + list(references.values())
        self.columns = [c for c in columns if any(row.get(c.key) is not None for row in rows)]
        self.choice = recommend(measured, by, margin)

    def write(self) -> None:
        """nfe.json, speed.json, pareto.png, REPORT.md, and recommended.yaml last."""
        write_json(self.folder / "nfe.json", self.figures())
        write_json(self.folder / "speed.json", self.speed())
        with replacing(self.folder / "pareto.png") as file:
            file.write(self.picture())
        write_text(self.folder / "REPORT.md", self.text())
        if self.choice:
            spec = dump_yaml(self.choice.found.setting.spec)
            write_text(self.folder / "recommended.yaml", f"# {self.choice.reason}\n{spec}")

    def figures(self) -> dict[str, Any]:
        """The content of nfe.json; it holds no measured times."""
        return {
            "facts": dict(self.facts),
            "references": {name: dict(scores) for name, scores in self.references.items()},
            "settings": [
                {
                    "sampler": found.setting.sampler,
                    "grid": found.setting.grid,
                    "calls": found.setting.nfe,
                    "spec": dict(found.setting.spec),
                    "scores": dict(found.scores),
                }
                | ({"refused": found.refused} if found.refused else {})
                for found in self.measured
            ],
            "margin": self.margin,
            "recommended": self.choice.found.setting.key if self.choice else None,
        }

    def speed(self) -> dict[str, float | None]:
        """Seconds of computation (network and sampler) per second of sound, by setting."""
        return {found.setting.key: found.rtf for found in self.measured}

    def table(self) -> Table:
        known = [f for f in self.measured if not f.refused]
        rows = [Row(name, name, scores, reference=True) for name, scores in self.references.items()]
        for found in sorted(known, key=lambda f: f.setting.nfe):
            values = {**found.scores, "calls": found.setting.nfe, "rtf": found.rtf}
            rows.append(Row(found.setting.key, found.setting.title, values))
        return Table("Quality against NFE", [NFE, *self.columns, SPEED], rows, "sampler, grid")

    def picture(self) -> bytes:
        """Quality against NFE and against the real-time factor; PNG."""
        quality = self.by.quality
        known = [f for f in self.measured if math.isfinite(f.score(quality.key))]
        groups: dict[str, list[Measured]] = {}
        for found in known:
            groups.setdefault(found.setting.sampler, []).append(found)
        panels = []
        for axis, cost in ((NFE, lambda f: f.setting.nfe), (SPEED, lambda f: f.rtf)):
            points = {
                name: [(cost(f), f.score(quality.key)) for f in group if cost(f)]
                for name, group in groups.items()
            }
            panels.append(Points(axis.title, points))
        chosen = [self.choice.found.setting.nfe, self.choice.found.rtf] if self.choice else []
        value = self.choice.found.score(quality.key) if self.choice else math.nan
        marks = [(cost, value) if cost else None for cost in chosen] or [None, None]
        return scatter(panels, quality.heading, marks, quality.better == "higher").data

    def text(self) -> str:
        """The text of REPORT.md."""
        facts = "\n".join(f"- **{name}**: {value}" for name, value in self.facts.items())
        parts = ["# Quality against NFE", facts]
        if self.choice:
            setting = self.choice.found.setting
            parts.append(
                f"Recommended: **{setting.title}, NFE {setting.nfe}**: {self.choice.reason}. "
                "It is written to `recommended.yaml`, which decoding uses."
            )
        parts += [
            "![Quality against NFE and real-time factor](pareto.png)",
            markdown(self.table()),
            f"{self.notes} The best generated value of each column is bold; arrows: ↓ lower is "
            "better, ↑ higher is better, → nearest to the given value is best. Without a time step "
            "between the two ends all grids are equal, and only the first is listed.".strip(),
        ]
        refused = [f"- {f.setting.key}: {f.refused}" for f in self.measured if f.refused]
        if refused:
            parts += ["## Not possible with this model", "\n".join(refused)]
        return "\n\n".join(parts) + "\n"
