"""What the figures of separation mean, and in which tables they stand."""

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
    Column("sdri", "SDRi", "dB", "higher", meaning="BSS-eval, 512 taps, above the mixture's."),
    Column("snri", "SNRi", "dB", "higher", meaning="Signal-to-noise ratio above the mixture's."),
    Column("si_sdr", "SI-SDR", "dB", "higher"),
    Column("estoi", "ESTOI", "", "higher", digits=3, meaning="Intelligibility, 1 at best."),
    Column("pesq_wb", "PESQ-WB", "", "higher", meaning="ITU-T P.862.2, 16 kHz, 1 to 4.64."),
    Column("pesq_nb", "PESQ-NB", "", "higher", meaning="ITU-T P.862.1, 8 kHz, 1 to 4.55."),
    Column("selected", "selection", "%", "higher", digits=1, scale=100.0,
           meaning="Share of tracks nearer to their face's voice than to any other."),
)  # fmt: skip
COST = (
    Column("nfe", "network calls", digits=0),
    Column("rtf", "real-time factor", digits=3),
    Column("gmacs", "GMAC per second and voice", digits=2),
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
    "SI-SDRi, SDRi, SNRi": "are means over tracks of what is gained over handing back the mixture, in "
    "dB. SI-SDR is deaf to level; SDR also forgives a filter of 512 taps (BSS-eval); SNR forgives "
    "nothing. Figures of other lists, levels and lengths must not stand in the same column.",
    "selection": "is the share of tracks that are more like the voice of their face than like "
    "another. Handing back the mixture gives about a half.",
    "same voice": "are two clips of one person: nothing but the lips says who is who.",
    "ESTOI": "is intelligibility from correlations of band envelopes; PESQ a telephone-era model of "
    "quality. PESQ-WB and PESQ-NB are different scales.",
    "oracle masks": "know the truth and are the ceilings of masking the mixture's spectrum, with its "
    "phase; networks that predict complex spectra may pass them.",
    "generator": "It draws one plausible voice, the predictor the mean of all: the generator may lose "
    "SI-SDR and gain ESTOI or PESQ. Both always stand here side by side.",
    "real-time factor": "is seconds of work per second of mixture, all its voices together; GMAC are "
    "10^9 multiply-accumulates per second of sound and voice.",
    "robustness": "is passed where a disturbed video does no harm: a mean SI-SDRi of at least "
    f"{LEAST_MEAN} dB and {LEAST_SHARE:.0%} of the tracks at {LEAST_TRACK:g} dB or better. A shift of "
    f"one frame (40 ms) must keep {LEAST_KEPT:.0%} of the aligned SI-SDRi, so that handing back the "
    "mixture does not pass. Confidence is how far several draws of the generator agree: 1 all alike, "
    "0 unrelated.",
}  # fmt: skip
CURVES = ("si_sdri", "sdri", "estoi", "pesq_wb", "selected")
KINDS = {  # of pairs, as people say it
    "different-gender": "different gender",
    "same-gender": "same gender",
    "different-voice": "genders unknown",
    SAME_VOICE: "same voice",
    ALONE: "one voice in noise",
}
DIFFERENT = "different voices"  # all pairs of them


@dataclass(frozen=True)
class ScoredRow:
    """A row and its figures, by group of pairs ("" is all) and by track."""

    row: SeparatedRow
    groups: Mapping[str, Mapping[str, float]]
    tracks: Mapping[str, Mapping[str, float]]

    def values(self, group: str = "") -> dict[str, float | None]:
        return dict(self.groups.get(group, {}))


def tables(scored: Sequence[ScoredRow], robustness: Mapping[str, Any] | None) -> list[Table]:
    """All pairs, different and same voices, SI-SDRi by kind of pair, cost, robustness."""
    groups = {"All pairs": "", "Different voices": DIFFERENT, "Same voice": SAME_VOICE}
    present = {name for item in scored for name in item.groups}
    found = [quality(scored, title, group) for title, group in groups.items() if group in present]
    found += [_by_kind(scored), _cost(scored)]
    if robustness is not None:
        found.append(robustness_table(robustness))
    return found


def quality(scored: Sequence[ScoredRow], title: str, group: str = "") -> Table:
    rows = [_row(item, item.values(group)) for item in scored]
    return _table(title, QUALITY, rows)


def quality_over_calls(scored: Sequence[ScoredRow]) -> Chart | None:
    """Metrics over the number of network calls; None with fewer than two numbers of calls."""
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
        "Quality over network calls: each metric against the number of calls of the generator; 0 "
        "calls is the predictor. Lines are the oracle masks.",
    )


def robustness_table(found: Mapping[str, Any]) -> Table:
    """What a disturbed video costs; whether each condition is passed stands in its title."""
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
    """Columns that no row has a value for are left out."""

    def known(key: str) -> bool:
        values = (row.values.get(key) for row in rows)
        return any(value is not None and math.isfinite(value) for value in values)

    return Table(title, [column for column in columns if known(column.key)], rows, heading)
