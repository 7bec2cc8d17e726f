"""The folder that decoding writes: one sub-folder per row of the score table, and whole songs.

ROW/info.json         title, nfe, sampler, rtf, seed, vocoder ...
ROW/wav/UTT.wav       the sound; ROW/mel/UTT.npy the log-mel (F, T) from which it was made
songs/SONG/           generated.wav, natural.wav, score.json, info.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicediff.audio import MelSpec, read_wav
from voicediff.errors import DataError

REFERENCES = ("natural", "copy")  # and copy_*: upper bounds, nothing in them is generated


@dataclass(frozen=True)
class Row:
    """One row: its folder and the content of its `info.json`."""

    name: str
    folder: Path
    info: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.info.get("title", self.name))

    @property
    def nfe(self) -> int | None:
        """Number of network evaluations per line; None if nothing was generated."""
        return self.info.get("nfe")

    @property
    def is_reference(self) -> bool:
        return self.name in REFERENCES or self.name.startswith("copy_")

    @property
    def is_comparison(self) -> bool:
        """Whether another vocoder was used: for comparison only, not part of the NFE series."""
        return bool(self.info.get("beside"))

    def wav(self, utt: str, sample_rate: int) -> np.ndarray:
        return read_wav(self.folder / "wav" / f"{utt}.wav", sample_rate)[0]

    def mel(self, utt: str, bins: int) -> np.ndarray:
        """Log-mel (F, T) float32. Raises DataError if the file holds none."""
        path = self.folder / "mel" / f"{utt}.npy"
        try:
            mel = np.load(path).astype(np.float32)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: not a mel-spectrogram ({error}); decode again") from error
        if mel.ndim != 2 or mel.shape[0] != bins or mel.shape[1] == 0:
            raise DataError(
                f"{path}: has shape {mel.shape}, expected ({bins}, frames); "
                "decode again with the features' mel settings"
            )
        return mel


def read_rows(decoded: Path, utts: Sequence[str], mel: MelSpec | None = None) -> list[Row]:
    """All rows, references first, then by NFE.

    Raises DataError unless every row holds exactly the utterances `utts`, made with the mel
    settings `mel`: figures of different data are not comparable.
    """
    if not decoded.is_dir():
        raise DataError(f"{decoded}: no such folder; run stage 4 (decoding) first")
    rows = [_row(path.parent) for path in decoded.glob("*/info.json")]
    names = {row.name for row in rows}
    missing = [name for name in ("natural", "copy") if name not in names]
    if missing:
        raise DataError(
            f"{decoded / missing[0]}: missing; scores need the rows natural and copy as well as "
            "generated ones, run stage 4 (decoding) again"
        )
    if not any(not row.is_reference for row in rows):
        raise DataError(f"{decoded}: nothing generated to score; run stage 4 (decoding) again")
    for row in rows:
        _require_utterances(row, utts)
        if mel is not None and row.info.get("mel", mel.hash) != mel.hash:
            raise DataError(
                f"{row.folder}: decoded with mel settings {row.info['mel']}, the features have "
                f"{mel.hash}; score with the features that the model was trained with"
            )
    return sorted(rows, key=_order)


def song_folders(decoded: Path) -> dict[str, Path]:
    """Folders of whole songs that hold both sounds, by song."""
    paths = sorted((decoded / "songs").glob("*/generated.wav"))
    return {p.parent.name: p.parent for p in paths if (p.parent / "natural.wav").is_file()}


def read_info(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises DataError."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error}); decode again") from error
    if not isinstance(info, dict):
        raise DataError(f"{path}: expected an object, found {type(info).__name__}; decode again")
    return info


def _row(folder: Path) -> Row:
    return Row(folder.name, folder, read_info(folder / "info.json"))


def _require_utterances(row: Row, utts: Sequence[str]) -> None:
    for kind, suffix in (("wav", ".wav"), ("mel", ".npy")):
        found = {path.stem for path in (row.folder / kind).glob(f"*{suffix}")}
        lost, extra = sorted(set(utts) - found), sorted(found - set(utts))
        if lost:
            raise DataError(
                f"{row.folder / kind}: {_some(lost)} missing ({len(found)} of {len(utts)} "
                "utterances are there); run stage 4 (decoding) again"
            )
        if extra:
            raise DataError(
                f"{row.folder / kind}: {_some(extra)} not in the data; "
                "score with the data that was decoded"
            )


def _some(utts: Iterable[str]) -> str:
    utts = list(utts)
    more = f" and {len(utts) - 1} more are" if len(utts) > 1 else " is"
    return f"{utts[0]}{more}"


def _order(row: Row) -> tuple[int, int, str]:
    if row.is_reference:
        return 0, REFERENCES.index(row.name.partition("_")[0]), row.name
    return 1, row.nfe if row.nfe is not None else 10**9, row.name
