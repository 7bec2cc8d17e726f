"""What the figures of singing mean, in which tables they stand, and which of them lie."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voicediff.errors import DataError
from voicediff.report.chart import Chart, curves, loss_by_time
from voicediff.report.singing_rows import Row as DecodedRow
from voicediff.report.table import Column, Row, Table

SPECTRUM = (
    Column("mcd", "MCD", "dB", "lower"),
    Column("mcd_dtw", "MCD, DTW", "dB", "lower"),
    Column("log_mel_error", "log-mel error", "dB", "lower"),
    Column("variance_ratio", "variance ratio", "", "near", 1.0),
    Column("modulation_ratio", "modulation ratio", "", "near", 1.0),
    Column("frechet", "Fréchet distance", "", "lower"),
    Column("frechet_main", "Fréchet, main", "", "lower"),
    Column("frechet_fine", "Fréchet, fine", "", "lower"),
    Column("harmonic_contrast", "harmonic contrast", "dB", "near", "copy"),
)
SOUND = (
    Column("multi_stft", "multi-resolution STFT", "", "lower", digits=3),
    Column("log_spectral_distance", "log-spectral distance", "dB", "lower"),
    Column("periodicity_error", "periodicity error", "", "lower", digits=3),
    Column("f0_jitter", "F0 jitter, long notes", "cents", "near", "natural", digits=1),
)
PITCH = (
    Column("sung_f0_distance", "distance to sung F0", "cents", "lower", digits=1),
    Column("sung_f0_distance_p90", "its 90th percentile", "cents", "lower", digits=1),
    Column("gross_pitch_error", "gross pitch error", "%", "lower", scale=100.0),
    Column("fine_pitch_error", "fine pitch error", "cents", "lower", digits=1),
    Column("raw_pitch_accuracy", "raw pitch accuracy", "%", "higher", digits=1, scale=100.0),
    Column("log_f0_rmse", "log-F0 RMSE", "", "lower", digits=4),
    Column("f0_correlation", "F0 correlation", "", "higher", digits=3),
    Column("vuv_error", "V/UV error", "%", "lower", scale=100.0),
    Column("within_50_cents", "within 50 cents", "%", "near", "natural", digits=1, scale=100.0),
    Column("note_error", "note error", "cents", "lower", digits=1),
    Column("semitone_accuracy", "semitone accuracy", "%", "higher", digits=1, scale=100.0),
    Column("onset_error", "onset error", "ms", "lower", digits=1, scale=1000.0),
)
COST = (
    Column("nfe", "network calls", digits=0),
    Column("rtf", "real-time factor", digits=3),
    Column("rtf_network", "of it network", digits=4),
    Column("rtf_vocoder", "of it vocoder", digits=4),
)
NOTES = {
    "MCD, log-mel error": "lie in favour of the mean: a blurred mel is nearer to every rendition "
    "than any other rendition is. Read them beside the variance ratio, the modulation ratio and "
    "the Fréchet distance.",
    "variance ratio, modulation ratio": "1 is as lively as the recording; below is blurred or "
    "flat, above is noisy. Speckle raises them as well as real detail does: look at the pictures.",
    "Fréchet distance": "of patches of the mel: whether all of it together looks like singing, not "
    "whether a line is the right line. It is the root of main² (broad shape) + fine² (texture).",
    "within 50 cents, note error": "of the written notes: both lie in favour of flat singing. A "
    "voice slides and sways, so the recording itself does not reach 100 %, and more than the "
    "recording is not better. The note error is a median over notes.",
    "distance to sung F0": "a median, in cents, where both are voiced. Nobody can know a recording's "
    "vibrato from the notes, so a good singer does not reach 0 either.",
    "gross and fine pitch error, raw pitch accuracy": "gross: the share of frames more than 20 % "
    "away from the recording's F0; fine: the root mean square of the others. Raw pitch accuracy "
    "counts frames within 50 cents of the recording; lost voicing counts as wrong. The recording's "
    "own figures are the errors of the F0 tracker.",
    "log-F0 RMSE, F0 correlation, semitone accuracy": "lie where voicing was lost, because only "
    "frames voiced in both count: read the V/UV error first. A few octave errors decide the RMSE; "
    "the melody alone gives a correlation above .95.",
    "harmonic contrast": "harmonics 1 to 8 over the valleys between them, of the sound. The vocoder "
    "sets its limit: compare with copy synthesis, not with the recording.",
    "multi-resolution STFT, log-spectral distance, periodicity error": "of the sound, at all "
    "frequencies: what the vocoder adds or loses. Two renditions of the same noise are some 6 dB apart.",
    "F0 jitter": "trembling inside sustained notes when vibrato and drift are taken off. A voice has "
    "some; more is the vocoder's.",
    "F0 figures": "with a vocoder that is driven by F0 say nothing about the acoustic model; "
    "Griffin-Lim takes the pitch from the mel alone.",
    "recording, copy": "are the ceilings: what a perfect model would reach without and with this "
    "vocoder.",
}
CURVES = ("mcd", "log_mel_error", "variance_ratio", "modulation_ratio", "frechet",
          "sung_f0_distance", "within_50_cents", "vuv_error")  # fmt: skip
SUMMARY = ("mcd", "log_mel_error", "variance_ratio", "modulation_ratio", "frechet",
           "sung_f0_distance", "within_50_cents", "vuv_error")  # fmt: skip
SHORT = {  # a terminal is narrow
    "mcd": "MCD", "log_mel_error": "log-mel", "variance_ratio": "variance",
    "modulation_ratio": "modulation", "frechet": "Fréchet", "sung_f0_distance": "sung F0",
    "within_50_cents": "in tune", "vuv_error": "V/UV",
}  # fmt: skip
BINS = 10  # of t in the trainer's log


@dataclass(frozen=True)
class Scored:
    """A row and its figures: over all lines, and by utterance."""

    row: DecodedRow
    overall: Mapping[str, float | None]
    utterances: Mapping[str, Mapping[str, float | None]]

    def values(self) -> dict[str, float | None]:
        """Figures and costs, as a table's row wants them."""
        costs = {column.key: self.row.info.get(column.key) for column in COST}
        return {**self.overall, **costs}


def tables(scored: Sequence[Scored]) -> list[Table]:
    """Spectrum, pitch and cost; what no column knows stands in a table of its own."""
    rows = [_row(item) for item in scored]
    known = {column.key for column in (*SPECTRUM, *SOUND, *PITCH, *COST)}
    keys = dict.fromkeys(key for item in scored for key in item.overall if key not in known)
    others = [Column(key, key.replace("_", " "), digits=3) for key in keys]
    groups = {"Spectrum": SPECTRUM, "Sound": SOUND, "Pitch and time": PITCH}
    groups |= {"Others": others, "Cost": COST}
    found = [_table(title, columns, rows) for title, columns in groups.items()]
    return [table for table in found if table.columns]


def summary(scored: Sequence[Scored]) -> Table:
    """The most telling columns, for a terminal."""
    columns = {column.key: column for column in (*SPECTRUM, *PITCH)}
    short = [replace(columns[key], title=SHORT[key]) for key in SUMMARY]
    return _table("Scores", short, [_row(item) for item in scored])


def quality_over_calls(scored: Sequence[Scored]) -> Chart | None:
    """Metrics over the number of network calls; None with fewer than two numbers of calls."""
    generated = [item for item in scored if item.row.nfe is not None and not item.row.beside]
    if len(generated) < 2:
        return None
    columns = {column.key: column for column in (*SPECTRUM, *PITCH)}
    shown = [k for k in CURVES if any(item.overall.get(k) is not None for item in generated)]
    return curves(
        [columns[key] for key in shown],
        [item.row.nfe for item in generated],
        {key: [item.overall.get(key) for item in generated] for key in shown},
        {
            item.row.title: item.overall
            for item in scored
            if item.row.is_reference and not item.row.beside
        },
        "Quality over network calls: each metric against the number of network calls; 0 calls is "
        "the encoder's mean. Lines are the ceilings.",
    )


def training_loss(log: Path) -> Chart | None:
    """Loss in each bin of t in the first, middle and last third of training.

    None where the log is missing or has no losses by t (`TURN/t0` to `TURN/t9`).
    """
    if not log.is_file():
        return None
    found: dict[int, dict[int, float]] = {}
    with open(log, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            number = _bin(line, log)
            if number is not None:
                found.setdefault(int(line["step"]), {})[number] = float(line["value"])
    parts = [part for part in np.array_split(sorted(found), 3) if len(part)]
    losses = {
        f"steps {part[0]} to {part[-1]}": [
            float(
                np.mean([found[step][number] for step in part if number in found[step]] or np.nan)
            )
            for number in range(BINS)
        ]
        for part in parts
    }
    if not losses:
        return None
    return loss_by_time(
        np.linspace(0, 1, BINS + 1),
        losses,
        "Loss over t: mean training loss in ten bins of t, by stretch of training. A loss that "
        "falls in total may stand still where t is small, and that is what is heard.",
    )


def _bin(line: Mapping[str, Any], log: Path) -> int | None:
    """The number of the bin of t that a line of the log is about."""
    try:
        name = line["name"].rpartition("/")[2]
        if line["split"] != "train" or name[:1] != "t" or not name[1:].isdigit():
            return None
        int(line["step"]), float(line["value"])
        return int(name[1:])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{log}: not a training log ({error!r}); remove or restore it") from error


def _row(item: Scored) -> Row:
    return Row(item.row.name, item.row.title, item.values(), item.row.is_reference)


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """Columns that no row has a value for are left out."""
    shown = [c for c in columns if any(row.values.get(c.key) is not None for row in rows)]
    return Table(title, shown, rows)
