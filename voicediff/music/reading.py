"""Reading of all supported score formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from voicediff.errors import DataError
from voicediff.music.csd import read_csd
from voicediff.music.melody import Melody, assemble
from voicediff.music.midi import read_midi
from voicediff.music.musicxml import read_musicxml
from voicediff.music.score import Score
from voicediff.music.ustx import read_ustx
from voicediff.text.lyrics import read_lyrics, read_text

READERS: dict[str, Callable[[Path], Melody]] = {
    ".mid": read_midi,
    ".midi": read_midi,
    ".musicxml": read_musicxml,
    ".xml": read_musicxml,
    ".mxl": read_musicxml,
    ".ustx": read_ustx,
}


def read_score(path: str | Path, lyrics: str | Path | None = None) -> Score:
    """Read MIDI, MusicXML, USTX, a song of a CSD tree (its csv file) or a score as JSON.

    Args:
        path: the score; the file extension gives the format.
        lyrics: a UTF-8 text with one Hangul syllable for each note, a line for each phrase, `-`
            for a note that holds the previous syllable. By default the lyrics in the score.

    Raises DataError for unreadable files and for scores that cannot be sung.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in (".csv", ".json"):
        if lyrics is not None:
            raise DataError(f"{path}: contains its own lyrics; omit the lyrics file")
        return read_csd(path) if ending == ".csv" else _read_json(path)
    return assemble(read_melody(path), None if lyrics is None else read_lyrics(lyrics))


def read_melody(path: str | Path) -> Melody:
    """The unchecked notes of a MIDI, MusicXML or USTX file."""
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        endings = " ".join([*READERS, ".csv", ".json"])
        raise DataError(f"{path}: unknown score format; supported extensions: {endings}")
    return reader(path)


def _read_json(path: Path) -> Score:
    try:
        return Score.from_dict(json.loads(read_text(path)), str(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
