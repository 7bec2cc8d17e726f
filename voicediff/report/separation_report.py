"""The report on separated mixtures: scores.json, RESULTS.md, pictures/ and index.html."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voicediff.data.separation.mixtures import Mixture, MixtureList
from voicediff.files import whole_folder, write_json, write_text
from voicediff.report import separation_metrics
from voicediff.report.chart import Chart
from voicediff.report.environment import environment, facts
from voicediff.report.markdown import results
from voicediff.report.page import Page
from voicediff.report.separation_examples import MixtureExamples, heading
from voicediff.report.separation_metrics import ScoredRow
from voicediff.report.separation_rows import SeparatedRow, chosen_row
from voicediff.report.singing_metrics import training_loss
from voicediff.video.constants import FPS

LEAD = "Speakers who were not in the training set, separated with the help of their lips."
READING = (
    "Grey rows are references: the unprocessed mixture and oracle masks. The best value of a model in "
    "each column is marked. Arrows: ↓ lower is better, ↑ higher is better."
)


class SeparationReport:
    """The report on one separated list.

    Args:
        folder: with the rows; the report is written there.
        made: the list. truth: the row of the sources. scored: all other rows in the order of the tables.
        missing: metrics that were not measured, and why.
        robustness: the result of `voicediff robustness`, None if it was not run.
        versions: of the packages, see `experiment.versions`.
    """

    def __init__(
        self,
        folder: Path,
        made: MixtureList,
        truth: SeparatedRow,
        scored: Sequence[ScoredRow],
        missing: Mapping[str, str],
        robustness: Mapping[str, Any] | None,
        versions: Mapping[str, Any],
    ):
        self.folder, self.made, self.truth, self.scored = folder, made, truth, scored
        self.missing, self.robustness = missing, robustness
        self.environment = environment(versions)
        self.tables = separation_metrics.tables(scored, robustness)
        chosen = chosen_row([item.row for item in scored])
        self.chosen = next(i for i in scored if i.row is (chosen or scored[-1].row))
        self.charts = self._charts()

    @property
    def paths(self) -> dict[str, Path]:
        """Absolute paths of the results, by name."""
        names = {"sounds": self.chosen.row.name, "scores": "RESULTS.md", "page": "index.html"}
        return {key: (self.folder / name).resolve() for key, name in names.items()}

    def write(self, shown: Sequence[Mixture]) -> None:
        """scores.json, pictures/, RESULTS.md and index.html; `shown` are the examples."""
        write_json(self.folder / "scores.json", self.scores())
        maker = MixtureExamples(self.truth, self.scored, self.chosen)
        pictures = self._write_pictures(maker, shown)
        write_text(self.folder / "RESULTS.md", self.results(pictures))
        write_text(self.folder / "index.html", self.page(maker, shown).html())

    @property
    def title(self) -> str:
        return f"{self.folder.resolve().parent.name} / {self.folder.resolve().name}"

    def scores(self) -> dict[str, Any]:
        """The content of scores.json; nan and infinity are null."""
        return {
            "experiment": self.title,
            "environment": self.environment,
            "list": {"name": self.made.name, "hash": self.made.hash},
            "mixtures": len(self.made.mixtures),
            "not_measured": dict(self.missing),
            "robustness": self.robustness,
            "rows": [
                item.row.info
                | {"scores": {name or "all": _numbers(v) for name, v in item.groups.items()}}
                | {"tracks": {name: _numbers(v) for name, v in item.tracks.items()}}
                for item in self.scored
            ],
        }

    def results(self, pictures: Mapping[str, str]) -> str:
        """The text of RESULTS.md."""
        reading = READING.replace("Grey", "The first")
        return results(
            self.title, f"{LEAD} {reading}", self.facts(), self.tables, separation_metrics.NOTES, pictures,
            facts(self.environment),
        )  # fmt: skip

    def page(self, maker: MixtureExamples, shown: Sequence[Mixture]) -> Page:
        return Page(
            title=self.title,
            lead=LEAD,
            facts=self.facts(),
            reading=READING,
            tables=self.tables,
            notes=separation_metrics.NOTES,
            charts=list(self.charts.values()),
            left="the ground truth",
            choices={item.row.name: heading(item.row) for item in self.scored},
            chosen=self.chosen.row.name,
            examples=[maker.example(mixture) for mixture in shown],
            environment=facts(self.environment),
        )

    def facts(self) -> dict[str, str]:
        """Data, model and settings of the figures, for the page."""
        people = {s.clip.split("-")[0] for m in self.made.mixtures for s in m.sources}
        seconds = sum(mixture.frames for mixture in self.made.mixtures) / FPS
        info = self.chosen.row.info
        found = {
            "test data": f"{len(self.made.mixtures)} mixtures of list {self.made.name} "
            f"({self.made.hash}), {len(people)} people, {seconds:.0f} s",
            "sampler": str((info.get("sampler") or {}).get("name")),
            "noise scale": str(info.get("noise_scale")),
            "seed": str(info.get("seed")),
            "weights": str(info.get("weights")),
            "threads": f"{info.get('threads')} on {info.get('device')} (separation)",
        }
        if self.robustness is not None:
            passed = "passed" if self.robustness["passed"] else "FAILED"
            found["robustness"] = f"{passed}, see the table"
        return found | {f"not measured: {name}": why for name, why in self.missing.items()}

    def _charts(self) -> dict[str, Chart]:
        charts = {
            "quality_over_nfe": separation_metrics.quality_over_nfe(self.scored),
            "loss_over_t": training_loss(self.folder.parent / "log.csv"),
        }
        return {name: chart for name, chart in charts.items() if chart is not None}

    def _write_pictures(self, maker: MixtureExamples, shown: Sequence[Mixture]) -> dict[str, str]:
        """pictures/*.png; their paths relative to RESULTS.md by caption."""
        found = {}
        with whole_folder(self.folder / "pictures") as folder:
            for name, chart in self.charts.items():
                (folder / f"{name}.png").write_bytes(chart.light.data)
                found[chart.caption] = f"pictures/{name}.png"
            for mixture in shown:
                (folder / f"{mixture.id}.png").write_bytes(maker.picture(mixture).data)
                kind = separation_metrics.KINDS.get(mixture.pair, mixture.pair)
                found[f"{kind} ({mixture.id}): mixture, predictor, final, ground truth"] = (
                    f"pictures/{mixture.id}.png"
                )
        return found


def _numbers(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """JSON has no nan."""
    return {k: None if v is None or not math.isfinite(v) else float(v) for k, v in values.items()}
