"""Songs of the Children's Song Dataset (Choi et al. 2020): `csv`, `txt`, `lyric` and `mid` files.

`<root>/{csv,txt,lyric,mid,wav}/kr001a.*`: row n of the csv, syllable n of the txt and lyric files and
note n of the MIDI file correspond. A syllable on several notes repeats its vowel (`y_eo eo eo_ng`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voicediff.errors import DataError
from voicediff.files import write_text
from voicediff.music.melody import Melody, RawNote, trim
from voicediff.music.midi import read_midi, write_midi
from voicediff.music.score import Note, Score
from voicediff.text import phones
from voicediff.text.lyrics import Sung, read_lyrics, read_text
from voicediff.text.phones import Syllable

HEADER = ("start", "end", "pitch", "syllable")
SLUR_GAP = 0.25  # seconds; after a longer rest a vowel begins a new syllable
_OVERLAP = 0.5  # seconds; manually set boundaries sometimes overlap


def read_csd(path: str | Path) -> Score:
    """The song of a csv file, with the `txt`, `lyric` and `mid` files of its tree where present.

    Raises DataError with file and line or note where a file is damaged or the counts differ.
    """
    path = Path(path)
    rows, written = read_csv(path)
    notes = trim(rows, str(path), most=_OVERLAP)
    lines = _phones_of(path, written)
    syllables = [syllable for line in lines for syllable in line]
    _same_count(path, len(notes), companion_file(path, "txt"), len(syllables))
    hangul = _hangul_of(path)
    if hangul:
        _same_count(path, len(notes), companion_file(path, "lyric"), len(hangul))
    phrases = [sum(map(len, lines[:i])) for i in range(len(lines))]
    slurs = find_slurs(notes, syllables, phrases)
    joined = tuple(
        Note(
            note.start,
            note.end,
            note.pitch,
            hangul[i].text if hangul and not hangul[i].slur else "",
            slurs[i],
            phones.split_glide(syllables[i]),
        )
        for i, note in enumerate(notes)
    )
    words = tuple(i for i, item in enumerate(hangul) if item.word and not slurs[i])
    midi = companion_file(path, "mid")
    tempo = read_midi(midi).tempo if midi.exists() else ((0.0, 120.0),)
    return Score(joined, joined[-1].end, path.stem, tempo, tuple(phrases), words)


def write_csd(score: Score, root: str | Path, name: str) -> None:
    """Write csv, txt, lyric and mid of a song into the tree; notes need phones and syllables.

    A slur repeats the vowel, as in the corpus, also in Hangul (`여 어 엉`).
    """
    root = Path(root)
    syllables = [_given(score, i) for i in range(len(score.notes))]
    written = ["_".join(phones.split_glide(syllable)) for syllable in syllables]
    rows = [",".join(HEADER)]
    for note, text in zip(score.notes, written, strict=True):
        rows.append(f"{note.start:.6f},{note.end:.6f},{note.pitch},{text}")
    sung = [
        note.syllable or phones.to_hangul(syllable)
        for note, syllable in zip(score.notes, syllables, strict=True)
    ]
    begins = sorted({0, *score.phrases})
    ranges = list(zip(begins, [*begins[1:], len(written)], strict=True))
    words = set(score.words)
    lyric = ["".join(" " * (i in words) + sung[i] for i in range(*r)).strip() for r in ranges]
    write_text(root / "csv" / f"{name}.csv", "\n".join(rows) + "\n")
    write_text(root / "txt" / f"{name}.txt", _lines(" ".join(written[a:b]) for a, b in ranges))
    write_text(root / "lyric" / f"{name}.txt", _lines(lyric))
    write_midi(score, root / "mid" / f"{name}.mid")


def read_csv(path: str | Path) -> tuple[list[RawNote], list[str]]:
    """The rows of a csv file as notes in time order, and its last column: phones joined by `_`."""
    path = Path(path)
    notes, written = [], []
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header[:3] != list(HEADER[:3]):
            raise DataError(f"{path}:1: columns {header}; expected {','.join(HEADER)}")
        for row in reader:
            if row:
                notes.append(_row(row, f"{path}:{reader.line_num}"))
                written.append(row[3].strip() if len(row) > 3 else "")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}") from error
    order = sorted(range(len(notes)), key=lambda i: notes[i].start)
    melody = Melody(tuple(notes[i] for i in order), 0.0, str(path))
    return list(melody.notes), [written[i] for i in order]


def companion_file(path: Path, kind: str) -> Path:
    """The file of another kind (mid, txt, lyric, wav) of the song with this csv file."""
    ending = {"mid": "mid", "csv": "csv", "wav": "wav"}.get(kind, "txt")
    return path.parent.parent / kind / f"{path.stem}.{ending}"


def find_slurs(
    notes: Sequence[RawNote], syllables: Sequence[Syllable], phrases: Sequence[int]
) -> list[bool]:
    """Which notes continue the previous vowel: no onset, the same vowel, no coda or rest before it."""
    slurs = [False] * len(syllables)
    for i in range(1, min(len(syllables), len(notes))):
        before, here = syllables[i - 1], syllables[i]
        held = not here.onset and here.nucleus == phones.vowel(before.nucleus) and not before.coda
        close = notes[i].start - notes[i - 1].end < SLUR_GAP
        slurs[i] = held and close and i not in phrases
    return slurs


def _phones_of(path: Path, written: list[str]) -> list[list[Syllable]]:
    txt = companion_file(path, "txt")
    if txt.exists():
        lines = phones.read_lines(read_text(txt), str(txt))
        if not lines:
            raise DataError(f"{txt}: no phones; write one syllable for each note")
        return lines
    at = f"{path}: syllable column"
    return [[phones.parse(text.split("_"), at) for text in written]]


def _hangul_of(path: Path) -> list[Sung]:
    """Hangul syllables of the song; no word boundaries if the file has one syllable per line."""
    lyric = companion_file(path, "lyric")
    if not lyric.exists():
        return []
    lines = read_lyrics(lyric)
    one_each = all(len(line) == 1 for line in lines)
    return [replace(item, word=item.word and not one_each) for line in lines for item in line]


def _same_count(path: Path, notes: int, other: Path, syllables: int) -> None:
    if notes != syllables:
        raise DataError(
            f"{other}: {syllables} syllables but {notes} notes in {path.name}; "
            f"`voicediff lint {path}` locates the difference"
        )


def _row(row: list[str], at: str) -> RawNote:
    try:
        start, end, pitch = (float(cell) for cell in row[:3])
        whole = round(pitch)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{at}: {','.join(row)!r} is not start,end,pitch,syllable") from error
    if not 0 <= whole <= 127:
        raise DataError(f"{at}: pitch {pitch} is outside MIDI's 0 to 127")
    return RawNote(start, end, whole)


def _given(score: Score, index: int) -> Syllable:
    note = score.notes[index]
    at = f"note {index + 1} at {note.start:.2f} s"
    if note.phones is None or not (note.syllable or note.slur):
        raise DataError(f"{at}: a CSD song needs phones and Hangul for every note")
    return phones.parse(note.phones, at)


def _lines(lines) -> str:
    return "\n".join(lines) + "\n"
