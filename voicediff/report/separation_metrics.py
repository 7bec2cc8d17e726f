"""The metrics of separation: meaning, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicediff.data.separation.mixtures import ALONE, SAME_VOICE
from voicediff.report.chart import Chart, curves
from voicediff.report.robustness import LEAST_KEPT, LEAST_MEAN, LEAST_SHARE, LEAST_TRACK
from voicediff.report.separation_rows import MIXTURE, SeparatedRow
from voicediff.report.table import Column, Row, Table

QUALITY = (
    Column("si_sdri", "SI-SDRi", "dB", "higher",
           meaning="Scale-invariant signal-to-distortion ratio above that of the mixture."),
    Column("sdri", "SDRi", "dB", "higher", meaning="BSS-eval with 512 taps, above that of the mixture."),
    Column("snri", "SNRi", "dB", "higher", meaning="Signal-to-noise ratio above that of the mixture."),
    Column("si_sdr", "SI-SDR", "dB", "higher"),
    Column("estoi", "ESTOI", "", "higher", digits=3, meaning="Intelligibility; 1 is best."),
    Column("pesq_wb", "PESQ-WB", "", "higher", meaning="ITU-T P.862.2, 16 kHz, 1 to 4.64."),
    Column("pesq_nb", "PESQ-NB", "", "higher", meaning="ITU-T P.862.1, 8 kHz, 1 to 4.55."),
    Column("selected", "selection", "%", "higher", digits=1, scale=100.0,
           meaning="Share of tracks nearer to the speaker of their face than to any other."),
)  # fmt: skip
COST = (
    Column("nfe", "NFE", digits=0),
    Column("rtf", "real-time factor", digits=3),
    Column("gmacs", "GMAC per second and speaker", digits=2),
    Column("parameters", "parameters", "M", digits=2, scale=1e-6),
    Column("parameters_predictor", "of them predictor", "M", digits=2, scale=1e-6),
    Column("parameters_generator", "of them generator", "M", digits=2, scale=1e-6),
)
ROBUST = (
    Column("si_sdri", "SI-SDRi", "dB"),
    Column("unharmed", "tracks of -1 dB or better", "%", digits=1, scale=100.0),
    Column("kept", "of the aligned SI-SDRi", "%", digits=0, scale=100.0),
    Column("selected", "selection", "%", digits=1, scale=100.0),
    Column("confidence", "confidence"),
)
NOTES = {
    "SI-SDRi, SDRi, SNRi": "Improvement over the unprocessed mixture in dB, mean over tracks. SI-SDR "
    "ignores the level; SDR also ignores a filter of 512 taps (BSS-eval); SNR ignores neither. Do not "
    "compare figures of different lists, levels or lengths.",
    "selection": "Share of tracks that are nearer to the speaker of their face than to another "
    "speaker. The unprocessed mixture gives about 50 %.",
    "same speaker": "Two clips of one person: only the lips distinguish them.",
    "ESTOI": "Intelligibility from correlations of band envelopes. PESQ: a model of quality made for "
    "telephone speech; PESQ-WB and PESQ-NB are different scales.",
    "oracle masks": "Masks computed from the ground truth: the upper bounds of masking the mixture's "
    "spectrum with the mixture's phase. Networks that predict complex spectra may exceed them.",
    "generator": "The generator samples one plausible track, the predictor estimates the mean of all. "
    "The generator may lose SI-SDR and gain ESTOI or PESQ, so both are always listed.",
    "real-time factor": "Seconds of computation per second of mixture, all its speakers together. "
    "GMAC: 10^9 multiply-accumulate operations per second of sound and speaker.",
    "robustness": "Passed if a disturbed video does not degrade the result: mean SI-SDRi of at least "
    f"{LEAST_MEAN} dB, and {LEAST_SHARE:.0%} of the tracks at {LEAST_TRACK:g} dB or better. With a "
    f"shift of one frame (40 ms) {LEAST_KEPT:.0%} of the aligned SI-SDRi must remain, so that returning "
    "the unprocessed mixture does not pass. Confidence: agreement of several samples of the generator, "
    "from 0 (unrelated) to 1 (equal).",
}  # fmt: skip
CURVES = ("si_sdri", "sdri", "estoi", "pesq_wb", "selected")
KINDS = {  # of pairs, titles
    "different-gender": "different gender",
    "same-gender": "same gender",
    "different-voice": "genders unknown",
    SAME_VOICE: "same speaker",
    ALONE: "one speaker in noise",
}
DIFFERENT = "different voices"  # key of all such pairs in scores.json
GROUPS = {**KINDS, DIFFERENT: "different speakers"}


@dataclass(frozen=True)
class ScoredRow:
    """A row and its metrics, by group of pairs ("" is all) and by track."""

    row: SeparatedRow
    groups: Mapping[str, Mapping[str, float]]
    tracks: Mapping[str, Mapping[str, float]]

    def values(self, group: str = "") -> dict[str, float | None]:
        return dict(self.groups.get(group, {}))


def tables(scored: Sequence[ScoredRow], robustness: Mapping[str, Any] | None) -> list[Table]:
    """All pairs, different speakers, same speaker, SI-SDRi by kind of pair, cost, robustness."""
    groups = {"All pairs": "", "Different speakers": DIFFERENT, "Same speaker": SAME_VOICE}
    present = {name for item in scored for name in item.groups}
    found = [quality(scored, title, group) for title, group in groups.items() if group in present]
    found += [_by_kind(scored), _cost(scored)]
    if robustness is not None:
        found.append(robustness_table(robustness))
    return found


def quality(scored: Sequence[ScoredRow], title: str, group: str = "") -> Table:
    rows = [_row(item, item.values(group)) for item in scored]
    return _table(title, QUALITY, rows)


def quality_over_nfe(scored: Sequence[ScoredRow]) -> Chart | None:
    """Metrics against NFE; None with fewer than two values of NFE."""
    generated = [item for item in scored if not item.row.is_reference and item.row.nfe is not None]
    if len(generated) < 2:
        return None
    shown = [c for c in QUALITY if c.key in CURVES and c.key in generated[0].values()]
    masks = [item for item in scored if item.row.is_reference and item.row.name != MIXTURE]
    return curves(
        shown,
        [item.row.nfe for item in generated],
        {c.key: [item.values().get(c.key) for item in generated] for c in shown},
        {item.row.title: item.values() for item in masks},
        "Quality against NFE: each metric against the number of evaluations of the generator; NFE 0 is "
        "the predictor alone. Lines are the oracle masks.",
    )


def robustness_table(found: Mapping[str, Any]) -> Table:
    """Metrics with disturbed videos; the title of each row states whether it passed."""
    rows = [
        Row(c["name"], f"{c['title']}: {'passed' if c['passed'] else 'FAILED'}", c)
        for c in found["conditions"]
    ]
    title = f"Robustness ({found['title']}, {found['mixtures']} mixtures)"
    return _table(title, ROBUST, rows, "video")


def _by_kind(scored: Sequence[ScoredRow]) -> Table:
    columns = [Column(key, title, "dB", "higher") for key, title in KINDS.items()]
    rows = [_row(item, {key: item.values(key).get("si_sdri") for key in KINDS}) for item in scored]
    return _table("SI-SDRi by kind of pair", columns, rows)


def _cost(scored: Sequence[ScoredRow]) -> Table:
    rows = [
        _row(item, {column.key: item.row.info.get(column.key) for column in COST})
        for item in scored
        if not item.row.is_reference
    ]
    return _table("Cost", COST, rows)


def _row(item: ScoredRow, values: Mapping[str, float | None]) -> Row:
    return Row(item.row.name, item.row.title, values, item.row.is_reference)


def _table(
    title: str, columns: Sequence[Column], rows: Sequence[Row], heading: str = "row"
) -> Table:
    """Columns without a value in any row are left out."""

    def known(key: str) -> bool:
        values = (row.values.get(key) for row in rows)
        return any(value is not None and math.isfinite(value) for value in values)

    return Table(title, [column for column in columns if known(column.key)], rows, heading)
