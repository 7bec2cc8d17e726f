"""The metrics of singing: meaning, biases, tables and charts."""

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
    Column("nfe", "NFE", digits=0),
    Column("rtf", "real-time factor", digits=3),
    Column("rtf_network", "network", digits=4),
    Column("rtf_vocoder", "vocoder", digits=4),
)
NOTES = {
    "MCD, log-mel error": "Biased towards over-smoothed outputs: an average of all renditions is nearer "
    "to each rendition than another rendition is. Read them with the variance ratio, the modulation "
    "ratio and the Fréchet distance.",
    "variance ratio, modulation ratio": "1 equals the recording; lower is over-smoothed, higher is "
    "noisy. Isolated noisy bins raise them as well as real detail does: compare the spectrograms.",
    "Fréchet distance": "Between the distributions of mel patches: whether the output as a whole looks "
    "like singing, not whether a line is correct. The root of main² (broad shape) + fine² (texture).",
    "within 50 cents, note error": "Relative to the notes of the score; biased towards singing without "
    "glides and vibrato. The recording itself does not reach 100 %, and more than the recording is not "
    "better. The note error is a median over notes.",
    "distance to sung F0": "Median in cents over frames voiced in both. The notes do not determine the "
    "vibrato of the recording, so a good result is above 0.",
    "gross and fine pitch error, raw pitch accuracy": "Gross: share of frames whose F0 differs by "
    "more than 20 % from the recording; fine: root mean square error of the others. Raw pitch accuracy "
    "counts frames within 50 cents of the recording; lost voicing counts as wrong. The "
    "values of the recording are the errors of the F0 tracker.",
    "log-F0 RMSE, F0 correlation, semitone accuracy": "Only frames voiced in both count, so "
    "they are too good where voicing was lost: read the V/UV error first. A few octave errors dominate "
    "the RMSE; the melody alone gives a correlation above 0.95.",
    "harmonic contrast": "Level of harmonics 1 to 8 above the minima between them. The vocoder limits "
    "it: compare with copy synthesis, not with the recording.",
    "multi-resolution STFT, log-spectral distance, periodicity error": "Measured on "
    "the sound at all frequencies: what the vocoder adds or loses. Two samples of the same noise differ "
    "by about 6 dB.",
    "F0 jitter": "Fast irregular F0 changes in sustained notes, without vibrato and drift. A natural "
    "voice has some; an excess comes from the vocoder.",
    "F0 figures": "With a vocoder that takes F0 as input they do not measure the acoustic model; "
    "Griffin-Lim takes the pitch from the mel-spectrogram alone.",
    "recording, copy synthesis": "Upper bounds: a perfect model without and with this vocoder.",
}
CURVES = ("mcd", "log_mel_error", "variance_ratio", "modulation_ratio", "frechet",
          "sung_f0_distance", "within_50_cents", "vuv_error")  # fmt: skip
SUMMARY = ("mcd", "log_mel_error", "variance_ratio", "modulation_ratio", "frechet",
           "sung_f0_distance", "within_50_cents", "vuv_error")  # fmt: skip
SHORT = {  # for the width of a terminal
    "mcd": "MCD", "log_mel_error": "log-mel", "variance_ratio": "variance",
    "modulation_ratio": "modulation", "frechet": "Fréchet", "sung_f0_distance": "sung F0",
    "within_50_cents": "<50 cents", "vuv_error": "V/UV",
}  # fmt: skip
BINS = 10  # of t in the trainer's log


@dataclass(frozen=True)
class Scored:
    """A row and its metrics: over all lines, and by utterance."""

    row: DecodedRow
    overall: Mapping[str, float | None]
    utterances: Mapping[str, Mapping[str, float | None]]

    def values(self) -> dict[str, float | None]:
        """Metrics and costs by column key."""
        costs = {column.key: self.row.info.get(column.key) for column in COST}
        return {**self.overall, **costs}


def tables(scored: Sequence[Scored]) -> list[Table]:
    """Spectrum, sound, pitch and cost; metrics without a column get a table of their own."""
    rows = [_row(item) for item in scored]
    known = {column.key for column in (*SPECTRUM, *SOUND, *PITCH, *COST)}
    keys = dict.fromkeys(key for item in scored for key in item.overall if key not in known)
    others = [Column(key, key.replace("_", " "), digits=3) for key in keys]
    groups = {"Spectrum": SPECTRUM, "Sound": SOUND, "Pitch and time": PITCH}
    groups |= {"Others": others, "Cost": COST}
    found = [_table(title, columns, rows) for title, columns in groups.items()]
    return [table for table in found if table.columns]


def summary(scored: Sequence[Scored]) -> Table:
    """The main columns, for a terminal."""
    columns = {column.key: column for column in (*SPECTRUM, *PITCH)}
    short = [replace(columns[key], title=SHORT[key]) for key in SUMMARY]
    return _table("Scores", short, [_row(item) for item in scored])


def quality_over_nfe(scored: Sequence[Scored]) -> Chart | None:
    """Metrics against NFE; None with fewer than two values of NFE."""
    generated = [item for item in scored if item.row.nfe is not None and not item.row.is_comparison]
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
            if item.row.is_reference and not item.row.is_comparison
        },
        "Quality against NFE: each metric against the number of network evaluations; NFE 0 is the "
        "output of the encoder. Lines are the recording and copy synthesis.",
    )


def training_loss(log: Path) -> Chart | None:
    """Loss in each bin of t in the first, middle and last third of training.

    None if the log is missing or has no losses by t (`TURN/t0` to `TURN/t9`).
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
        "Loss over t: mean training loss in ten bins of t, in three parts of the training. The total "
        "may fall while the loss at small t, which determines the audible detail, does not.",
    )


def _bin(line: Mapping[str, Any], log: Path) -> int | None:
    """The bin of t to which a line of the log belongs; None for other lines."""
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
    """Columns without a value in any row are left out."""
    shown = [c for c in columns if any(row.values.get(c.key) is not None for row in rows)]
    return Table(title, shown, rows)
