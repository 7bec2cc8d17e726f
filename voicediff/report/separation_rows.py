"""The folder that separation of a list writes: one sub-folder per row of the score table.

mixtures.json         the list: name, hash, and the kind of pair and the clips of each mixture
ROW/info.json         title, nfe, sampler, rtf, seed, parameters ...
ROW/wav/MIX_1.wav     the track of the first face, MIX_2.wav of the second ...; 16 kHz
robustness.json       the result of `voicediff robustness`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicediff.audio import read_wav
from voicediff.data.separation.mixtures import MixtureList, read_list
from voicediff.errors import DataError
from voicediff.report.singing_rows import read_info
from voicediff.video.constants import SAMPLE_RATE

TRUTH, MIXTURE = "truth", "mixture"
MASKS = ("mask_ratio", "mask_phase")
REFERENCES = (TRUTH, MIXTURE, *MASKS)  # not made by a model


@dataclass(frozen=True)
class SeparatedRow:
    """One row: its folder and the content of its `info.json`."""

    name: str
    folder: Path
    info: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.info.get("title", self.name))

    @property
    def nfe(self) -> int | None:
        """Number of evaluations of the decoder; None if the row was not made by a model."""
        return self.info.get("nfe")

    @property
    def is_reference(self) -> bool:
        return self.name in REFERENCES

    def tracks(self, mixture: str, speakers: int) -> np.ndarray:
        """(S, N) float32."""
        return np.stack([self.track(mixture, number) for number in range(speakers)])

    def track(self, mixture: str, speaker: int) -> np.ndarray:
        """The track of one face, (N,) float32; speakers count from 0."""
        return read_wav(self.folder / "wav" / f"{track_name(mixture, speaker)}.wav", SAMPLE_RATE)[0]


def track_name(mixture: str, speaker: int) -> str:
    """`test-own-0003_1` for the first speaker."""
    return f"{mixture}_{speaker + 1}"


def read_separated(folder: Path) -> tuple[MixtureList, list[SeparatedRow]]:
    """The list, and all rows: references first, then by NFE. Raises DataError."""
    if not (folder / "mixtures.json").is_file():
        raise DataError(f"{folder}: no separated mixtures here; run stage 4 (separation) first")
    made = read_list(folder / "mixtures.json")
    rows = [
        SeparatedRow(path.parent.name, path.parent, read_info(path))
        for path in folder.glob("*/info.json")
    ]
    for row in rows:
        _require_tracks(row, made)
    names = {row.name for row in rows}
    for name in (TRUTH, MIXTURE):
        if name not in names:
            raise DataError(f"{folder / name}: missing; run stage 4 (separation) again")
    return made, sorted(rows, key=_order)


def _require_tracks(row: SeparatedRow, made: MixtureList) -> None:
    """Raise DataError unless the row holds all tracks of all mixtures of this list."""
    if row.info.get("list") != made.hash:
        raise DataError(
            f"{row.folder}: made of list {row.info.get('list')}, the others of {made.hash}; "
            "run stage 4 (separation) again"
        )
    wanted = [track_name(m.id, number) for m in made.mixtures for number in range(len(m.sources))]
    there = {path.stem for path in (row.folder / "wav").glob("*.wav")}
    lost = sorted(set(wanted) - there)
    if lost:
        raise DataError(
            f"{row.folder / 'wav'}: {lost[0]}.wav missing ({len(lost)} of {len(wanted)} are); "
            "run stage 4 (separation) again"
        )


def _order(row: SeparatedRow) -> tuple[int, int, str]:
    if row.is_reference:
        return 0, REFERENCES.index(row.name), row.name
    return 1, row.nfe if row.nfe is not None else 10**9, row.name


def chosen_row(rows: Sequence[SeparatedRow]) -> SeparatedRow | None:
    """The row shown first: the NFE of the configuration, else the largest; None without rows."""
    generated = [row for row in rows if not row.is_reference]
    own = [row for row in generated if row.info.get("own_nfe") == row.nfe]
    return own[-1] if own else (generated[-1] if generated else None)
