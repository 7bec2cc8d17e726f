"""The linter for songs of a CSD tree: `mid`, `csv`, `txt` and `lyric` are cross-checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicediff.errors import DataError
from voicediff.music.csd import companion_file, read_csv
from voicediff.music.melody import RawNote
from voicediff.music.midi import read_midi
from voicediff.music.problems import RANGE, Problem, check_notes
from voicediff.music.sequences import Step, align_sequences, syllable_cost, written_cost
from voicediff.text import phones
from voicediff.text.lyrics import Sung, read_lyrics, read_text
from voicediff.text.phones import Syllable

MISMATCH = 0.75  # minimum dissimilarity of a mismatched pair: onset and nucleus differ
LATE = 0.15  # seconds
_NEAR = 2  # items; closer disagreements of two pairs of files have one cause


@dataclass(frozen=True)
class SongFiles:
    """The files of one song; a list is None where its file is missing.

    `rows` and `row_syllables` are the csv file, `notes` the MIDI file, `spoken` the txt file,
    `written` the Hangul of the lyric file.
    """

    path: Path
    rows: list[RawNote]
    row_syllables: list[Syllable]
    notes: list[RawNote] | None
    spoken: list[Syllable] | None
    written: list[Sung] | None
    tempo: tuple[tuple[float, float], ...]
    txt_lines: tuple[int, ...]


@dataclass(frozen=True)
class _Fault:
    """A disagreement of two files: an item that only `more` has, an exchange, or a mismatch."""

    kind: str  # "more", "swap", "mismatch"
    more: str
    less: str
    at: int  # approximate row of the csv file


def read_song_files(path: str | Path) -> SongFiles:
    """Read all files of the song with this csv file. Raises DataError for an unreadable file."""
    path = Path(path)
    rows, column = read_csv(path)
    at = f"{path}: syllable column"
    syllables = [phones.parse(text.split("_"), at) for text in column]
    mid, txt, lyric = (companion_file(path, kind) for kind in ("mid", "txt", "lyric"))
    melody = read_midi(mid) if mid.exists() else None
    lines = phones.read_lines(read_text(txt), str(txt)) if txt.exists() else None
    return SongFiles(
        path,
        rows,
        syllables,
        list(melody.notes) if melody else None,
        None if lines is None else [syllable for line in lines for syllable in line],
        [s for line in read_lyrics(lyric) for s in line] if lyric.exists() else None,
        melody.tempo if melody else ((0.0, 120.0),),
        tuple(np.cumsum([len(line) for line in lines or []]).tolist()),
    )


def lint_csd(path: str | Path, pitch_range: tuple[int, int] = RANGE) -> list[Problem]:
    """All problems of one song of a CSD tree, in time order."""
    song = read_song_files(path)
    found = [_missing(song.path, kind) for kind in _absent(song)]
    found += check_notes(song.rows, song.tempo, song.path.name, pitch_range)
    faults = _merge(_faults(song), song.written is not None)
    found += [_problem(song, fault) for fault in faults]
    found += _late(song) if song.notes is not None else []
    return sorted(found, key=lambda problem: -1.0 if problem.time is None else problem.time)


def faulty_files(song: SongFiles) -> set[str]:
    """Kinds of the files that disagree with a majority; undecided disagreements are left out."""
    faulty = set()
    for fault in _merge(_faults(song), song.written is not None):
        sides = [side for side in (fault.more, fault.less) if " and " not in side]
        outer = [side for side in sides if side in ("mid", "lyric")]
        if len(sides) == 1 or outer:
            faulty.add((outer or sides)[0])
    return faulty


def _absent(song: SongFiles) -> list[str]:
    files = {"mid": song.notes, "txt": song.spoken, "lyric": song.written}
    return [kind for kind, content in files.items() if content is None]


def _missing(path: Path, kind: str) -> Problem:
    place = companion_file(path, kind)
    return Problem("missing_file", None, None, None, f"{place}: missing", f"add the {kind} file")


def _faults(song: SongFiles) -> list[_Fault]:
    """Disagreements of mid with csv, csv with txt, and txt (or csv) with lyric."""
    faults: list[_Fault] = []
    if song.notes is not None:
        cost, cross = _note_cost(song.rows, song.notes)
        steps = align_sequences(cost, cross)
        faults += _disagreements(steps, cross, "csv", "mid", _same)
    place: Callable[[int], int] = _same
    if song.spoken is not None:
        cost = syllable_cost(song.row_syllables, song.spoken)
        steps = align_sequences(cost)
        faults += _disagreements(steps, cost, "csv", "txt", _same)
        place = _map_right_to_left(steps, len(song.spoken))
    if song.written is not None:
        reference = song.spoken if song.spoken is not None else song.row_syllables
        name = "txt" if song.spoken is not None else "csv"
        cost = written_cost(reference, song.written)
        faults += _disagreements(align_sequences(cost), cost, name, "lyric", place)
    return faults


def _note_cost(rows: list[RawNote], notes: list[RawNote]) -> tuple[np.ndarray, np.ndarray]:
    pitch = np.not_equal.outer([r.pitch for r in rows], [n.pitch for n in notes])
    late = np.abs(np.subtract.outer([r.start for r in rows], [n.start for n in notes]))
    return 0.6 * pitch + 0.4 * np.clip(late / 0.5, 0, 1), pitch.astype(float)


def _disagreements(
    steps: list[Step], cost: np.ndarray, left: str, right: str, place: Callable[[int], int]
) -> list[_Fault]:
    faults = []
    for step in steps:
        at = place(step.i)
        if step.kind == "swap":
            faults.append(_Fault("swap", right, left, at))
        elif step.kind == "left":
            faults.append(_Fault("more", left, right, at))
        elif step.kind == "right":
            faults.append(_Fault("more", right, left, at))
        elif cost[step.i, step.j] >= MISMATCH:
            faults.append(_Fault("mismatch", right, left, at))
    return faults


def _same(i: int) -> int:
    return i


def _map_right_to_left(steps: list[Step], size: int) -> Callable[[int], int]:
    places = [0] * (size + 1)
    for step in steps:
        places[step.j] = step.i
        if step.kind == "swap":
            places[step.j + 1] = step.i + 1
    places[size] = (steps[-1].i + 1) if steps else 0
    return lambda j: places[min(j, size)]


def _merge(faults: list[_Fault], lyric: bool) -> list[_Fault]:
    """Merge two faults where one file disagrees with both of its neighbours at one place."""
    kept: list[_Fault] = []
    for fault in faults:
        other = next((k for k in kept if _same_place(k, fault)), None)
        if other is None:
            kept.append(fault)
            continue
        kept[kept.index(other)] = _joined(other, fault)
    return [_outvoted(fault) if lyric else fault for fault in kept]


def _outvoted(fault: _Fault) -> _Fault:
    """Attribute the fault to csv where txt and lyric agree with each other against csv."""
    if fault.kind != "more" and {fault.more, fault.less} == {"csv", "txt"}:
        return _Fault(fault.kind, "csv", "lyric and txt", fault.at)
    return fault


def _same_place(a: _Fault, b: _Fault) -> bool:
    pair = {a.more, a.less}, {b.more, b.less}
    if pair[0] == pair[1] or not pair[0] & pair[1] or abs(a.at - b.at) > _NEAR:
        return False
    if a.kind != b.kind:
        return False
    return a.kind != "more" or a.more == b.more or a.less == b.less


def _joined(a: _Fault, b: _Fault) -> _Fault:
    """One fault of two: the file that both have in common against the other two files."""
    (common,) = {a.more, a.less} & {b.more, b.less}
    others = " and ".join(sorted({a.more, a.less, b.more, b.less} - {common}))
    if a.kind == "more" and a.less == common:
        return _Fault(a.kind, others, common, a.at)
    return _Fault(a.kind, common, others, a.at)


def _problem(song: SongFiles, fault: _Fault) -> Problem:
    at = min(fault.at, len(song.rows) - 1)
    row, name = song.rows[at], song.path.stem
    number, text = at + 1, "_".join(phones.split_glide(song.row_syllables[at]))
    if fault.kind == "swap":
        message = f"{name}: {fault.more} has notes or syllables {number} and {number + 1} exchanged"
        message += f" against {fault.less} (`{text}` comes first in csv)"
        return Problem(
            "swapped", number, number, row.start, message, f"exchange them in {fault.more}"
        )
    if fault.kind == "mismatch":
        message = f"{name}: {fault.more} and {fault.less} differ (`{text}` in csv)"
        return Problem(
            "mismatch", number, number, row.start, message, "correct the one that is wrong"
        )
    message = f"{name}: an item of {fault.more} is not in {fault.less} (near `{text}`)"
    if fault.more in ("mid", "csv") and fault.less != "mid":
        kind = "note_without_syllable"
    else:
        kind = "syllable_without_note"
    if " and " in fault.less:
        suggestion = f"remove it from {fault.more}"
    elif " and " in fault.more or fault.less in ("mid", "lyric"):
        suggestion = f"add it to {fault.less}"
    else:
        suggestion = f"add it to {fault.less} or remove it from {fault.more}"
    return Problem(kind, number, number, row.start, message, suggestion)


def _late(song: SongFiles) -> list[Problem]:
    """Notes whose onsets in csv and mid differ by more than LATE after removal of the median offset."""
    cost, cross = _note_cost(song.rows, song.notes)
    pairs = [s for s in align_sequences(cost, cross) if s.kind == "pair"]
    if not pairs:
        return []
    shifts = np.array([song.notes[s.j].start - song.rows[s.i].start for s in pairs])
    late = np.abs(shifts - np.median(shifts)) > LATE
    name = song.path.stem
    if late.mean() > 0.25:
        first = song.rows[pairs[int(np.argmax(late))].i]
        message = f"{name}: times of mid and csv diverge from here on"
        suggestion = "check the tempo of mid"
        return [Problem("tempo", None, None, first.start, message, suggestion)]
    found = []
    for step, shift, is_late in zip(pairs, shifts, late, strict=True):
        if is_late:
            message = f"{name}: begins {shift:+.2f} s later in mid than in csv"
            row = song.rows[step.i]
            found.append(
                Problem("mismatch", step.i + 1, None, row.start, message, "correct one of them")
            )
    return found


def songs_of(path: str | Path) -> list[Path]:
    """The csv files of a CSD tree or of its `csv` folder, or the given csv file.

    Raises DataError where there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*.csv")
        if (file.parent.name == "csv" or file.parent == path)
        and "fixed" not in file.relative_to(path).parts
    )
    if not found:
        raise DataError(f"{path}: no csv files of songs; give the root of a CSD tree or one song")
    return found
