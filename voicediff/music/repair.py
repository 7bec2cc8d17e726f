"""Repair of songs of a CSD tree: the files that agree replace the one that differs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from voicediff.errors import DataError
from voicediff.music.cross_check import SongFiles, faulty_files, read_song_files
from voicediff.music.csd import find_slurs, write_csd
from voicediff.music.melody import RawNote
from voicediff.music.score import Note, Score
from voicediff.music.sequences import align_sequences, syllable_cost, written_cost
from voicediff.text import phones
from voicediff.text.phones import Syllable


def repair_csd(path: str | Path, root: str | Path) -> list[Path]:
    """Write repaired csv, txt, lyric and mid files of a song below `root`; returns their paths.

    Where mid and txt agree against csv, times come from mid and phones from txt; otherwise csv is
    used. Hangul is kept where it aligns with the phones, and spelled from them where it is missing.
    Raises DataError where no two files agree in the number of notes and syllables.
    """
    song = read_song_files(path)
    notes, syllables = _majority(song)
    if len(notes) != len(syllables):
        raise DataError(
            f"{path}: {len(notes)} notes and {len(syllables)} syllables; no files agree, repair it by hand"
        )
    ended = [replace(a, end=min(a.end, b.start)) for a, b in itertools.pairwise(notes)] + notes[-1:]
    phrases = _phrases(song, syllables)
    slurs = find_slurs(ended, syllables, phrases)
    joined = tuple(
        Note(n.start, n.end, n.pitch, text, slur, phones.split_glide(syllable))
        for n, text, slur, syllable in zip(
            ended, _hangul(song, syllables), slurs, syllables, strict=True
        )
    )
    name = song.path.stem
    score = Score(joined, joined[-1].end, name, song.tempo, phrases, _words(song, joined))
    write_csd(score, root, name)
    return [Path(root) / kind / f"{name}.{ending}" for kind, ending in _FILES.items()]


_FILES = {"csv": "csv", "txt": "txt", "lyric": "txt", "mid": "mid"}


def _majority(song: SongFiles) -> tuple[list[RawNote], list[Syllable]]:
    if "csv" in faulty_files(song) and song.notes is not None and song.spoken is not None:
        return song.notes, song.spoken
    return song.rows, song.row_syllables


def _phrases(song: SongFiles, syllables: list[Syllable]) -> tuple[int, ...]:
    """First syllables of the lines of txt, or of lyric where txt is faulty."""
    if song.spoken is None or ("txt" in faulty_files(song) and song.written is not None):
        written = song.written or []
        cost = written_cost(syllables, written)
        pairs = enumerate(itertools.pairwise(written), start=1)
        marks = [j for j, (a, b) in pairs if a.line != b.line]
        if len(marks) + 1 == len(written):  # one line per syllable carries no phrases
            marks = []
    else:
        cost = syllable_cost(syllables, song.spoken)
        marks = list(song.txt_lines[:-1])
    places = {step.j: step.i for step in align_sequences(cost) if step.kind != "left"}
    return tuple(sorted({0, *(places[mark] for mark in marks if mark in places)}))


def _hangul(song: SongFiles, syllables: list[Syllable]) -> list[str]:
    """The Hangul of each syllable: from the lyric file where it aligns, else spelled from the phones."""
    texts = [""] * len(syllables)
    if song.written is not None:
        cost = written_cost(syllables, song.written)
        for step in align_sequences(cost):
            if step.kind == "pair":
                texts[step.i] = song.written[step.j].text
            elif step.kind == "swap":
                texts[step.i], texts[step.i + 1] = (song.written[step.j + k].text for k in (1, 0))
    found = zip(texts, syllables, strict=True)
    return [phones.to_hangul(s) if text in ("", "-") else text for text, s in found]


def _words(song: SongFiles, notes: tuple[Note, ...]) -> tuple[int, ...]:
    """First notes of words, if the lyric file has one syllable per note; else empty."""
    if song.written is None or len(song.written) != len(notes):
        return ()
    return tuple(i for i, item in enumerate(song.written) if item.word and not notes[i].slur)
