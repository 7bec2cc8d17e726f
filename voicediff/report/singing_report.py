"""The report on decoded singing: scores.json, RESULTS.md, pictures/ and index.html."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voicediff.audio import MelSpec
from voicediff.files import whole_folder, write_json, write_text
from voicediff.report import singing_metrics
from voicediff.report.environment import environment, facts
from voicediff.report.markdown import results
from voicediff.report.page import Example, Page
from voicediff.report.singing_examples import Line, SongExamples
from voicediff.report.singing_metrics import Scored
from voicediff.report.singing_rows import Row, song_folders

LEAD = "Singing generated from notes and lyrics that were not in the training set."
READING = (
    "Grey rows are references: the recording, and copy synthesis with each vocoder. The best generated "
    "value of each column is marked. Arrows: ↓ lower is better, ↑ higher is better, → nearest to the "
    "given value is best."
)


class SingingReport:
    """The report on one decoding.

    Args:
        decoded: the folder with the rows; the report is written there.
        scored: rows in the order of the tables, `natural` among them.
        lines: the utterances of the rows.
        mel: settings of the rows' mel-spectrograms.
        versions: of the packages, see `experiment.versions`.
    """

    def __init__(
        self,
        decoded: Path,
        scored: Sequence[Scored],
        lines: Sequence[Line],
        mel: MelSpec,
        versions: Mapping[str, Any],
    ):
        self.decoded, self.scored, self.lines, self.mel = decoded, scored, lines, mel
        self.rows = [item.row for item in scored]
        self.environment = environment(versions)
        self.tables = singing_metrics.tables(scored)
        charts = {
            "quality_over_nfe": singing_metrics.quality_over_nfe(scored),
            "loss_over_t": singing_metrics.training_loss(decoded.parent / "log.csv"),
        }
        self.charts = {name: chart for name, chart in charts.items() if chart is not None}

    @property
    def paths(self) -> dict[str, Path]:
        """Absolute paths of the results, by name."""
        names = {"songs": "songs", "scores": "RESULTS.md", "page": "index.html"}
        return {key: (self.decoded / name).resolve() for key, name in names.items()}

    def write(self, songs: Mapping[str, str]) -> None:
        """scores.json, pictures/, RESULTS.md and index.html; `songs` are titles by name."""
        write_json(self.decoded / "scores.json", self.scores())
        maker = SongExamples(
            self.rows, self.chosen, self.lines, song_folders(self.decoded), self.mel
        )
        pictures = self._write_pictures(maker, songs)
        write_text(self.decoded / "RESULTS.md", self.results(pictures))
        page = self.page([maker.example(song, title) for song, title in songs.items()])
        write_text(self.decoded / "index.html", page.html())

    @property
    def chosen(self) -> str:
        """The row shown first: the largest NFE up to 10, else the smallest."""
        generated = [row for row in self.rows if row.nfe is not None and not row.is_comparison]
        few = [row for row in generated if row.nfe <= 10]
        return max(few or generated[:1], key=lambda row: row.nfe).name

    def scores(self) -> dict[str, Any]:
        """The content of scores.json; nan and infinity are null."""
        return {
            "experiment": self.title,
            "environment": self.environment,
            "mel": self.mel.to_dict() | {"hash": self.mel.hash},
            "utterances": len(self.lines),
            "rows": [
                item.row.info
                | {"row": item.row.name, "scores": _numbers(item.overall)}
                | {"utterances": {utt: _numbers(v) for utt, v in sorted(item.utterances.items())}}
                for item in self.scored
            ],
        }

    @property
    def title(self) -> str:
        return f"{self.decoded.resolve().parent.name} / {self.decoded.resolve().name}"

    def results(self, pictures: Mapping[str, str]) -> str:
        """The text of RESULTS.md."""
        return results(
            self.title, f"{LEAD} {READING.replace('Grey', 'The first')}", self.facts(), self.tables,
            singing_metrics.NOTES, pictures, facts(self.environment),
        )  # fmt: skip

    def page(self, examples: list[Example]) -> Page:
        choices = {row.name: _choice(row) for row in self.rows if row.name != "natural"}
        return Page(
            title=self.title,
            lead=LEAD,
            facts=self.facts(),
            reading=READING,
            tables=self.tables,
            notes=singing_metrics.NOTES,
            charts=list(self.charts.values()),
            left="the recording",
            choices=choices,
            chosen=self.chosen,
            examples=examples,
            environment=facts(self.environment),
        )

    def facts(self) -> dict[str, str]:
        """Data, model and settings of the figures, for the page."""
        sampler = self._info("sampler") or {}
        seconds = sum(line.end - line.start for line in self.lines)
        mel = self.mel
        return {
            "test data": f"{len(self.lines)} lines of {len({x.song for x in self.lines})} songs, "
            f"{seconds:.0f} s",
            "sampler": str(sampler.get("name", sampler)),
            "vocoder": str(self._info("vocoder")),
            "noise scale": str(self._info("noise_scale")),
            "seed": str(self._info("seed")),
            "mel": f"{mel.n_mels} bins to {mel.fmax:g} Hz, {mel.sample_rate} Hz, "
            f"hop {mel.hop} ({mel.hash})",
            "weights": str(self._info("weights")),
        }

    def _info(self, key: str) -> Any:
        """A value of the generated rows, the last one first, because mu has no sampler."""
        found = [row.info.get(key) for row in reversed(self.rows) if not row.is_comparison]
        return next((value for value in found if value is not None), None)

    def _write_pictures(self, maker: SongExamples, songs: Mapping[str, str]) -> dict[str, str]:
        """pictures/*.png; their paths relative to RESULTS.md by caption."""
        found = {}
        with whole_folder(self.decoded / "pictures") as folder:
            for name, chart in self.charts.items():
                (folder / f"{name}.png").write_bytes(chart.light.data)
                found[chart.caption] = f"pictures/{name}.png"
            for song, title in songs.items():
                (folder / f"{song}.png").write_bytes(maker.picture(song, title).data)
                found[f"{title}: left the recording, right generated"] = f"pictures/{song}.png"
        return found


def _choice(row: Row) -> str:
    if row.name.startswith("copy"):
        return f"Copy synthesis, {row.info.get('vocoder', '')}".rstrip(", ")
    if row.nfe is None or row.is_comparison:
        return row.title
    return "Encoder output (NFE 0)" if row.nfe == 0 else f"Generated, NFE {row.nfe}"


def _numbers(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """JSON has no nan."""
    return {k: None if v is None or not math.isfinite(v) else float(v) for k, v in values.items()}
