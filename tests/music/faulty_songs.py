"""Generated songs with rests, slurs and repeated words, and faults injected into their files."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from voicediff.music import Note, Score, write_csd
from voicediff.text import phones
from voicediff.text.pronunciation import phones_of

WORDS = (
    "나비 강물 노래 하늘 꽃잎 작은 별이 반짝 산토끼 아침 바람 구름 달님 우리 함께 걸어 갑니다 "
    "즐겁게 춤을 추며 노란 병아리 엄마 품에 안겨 잠이 들면 같이 놀아 좋아요 학교 종이 땡땡 국물 "
    "아이 오이 우유 여우야 무지개 기차 눈사람 봄비 여름밤 가을 겨울 친구 손잡고 멀리 날아라"
).split()
FAULTS = ("drop", "double", "swap")


def make_song(seed: int) -> Score:
    """Four to eight lines of two or four bars in 4/4; lines end with a long note or a rest."""
    rng = random.Random(seed)
    beat = 60 / rng.choice([80, 96, 100, 120, 132])
    notes: list[Note] = []
    phrases, words = [], []
    at, pitch = rng.choice([0, 4]) * beat, rng.randint(58, 66)
    for _ in range(rng.randint(4, 8)):
        bars = rng.choice([2, 2, 4])
        durations = _rhythm(rng, bars)
        line = _words(rng, len(durations))
        phrases.append(len(notes))
        sung = phones_of(" ".join(line))
        starts = {sum(map(len, line[:k])) for k in range(len(line))}
        text = "".join(line)
        for k, (length, sounding) in enumerate(durations):
            pitch = min(max(pitch + rng.choice([-4, -2, -1, 0, 0, 1, 2, 4]), 55), 74)
            end = at + sounding * beat
            if k in starts:
                words.append(len(notes))
            given = phones.split_glide(sung[k])
            notes.append(Note(at, end, pitch, text[k], False, given))
            if rng.random() < 0.05 and not sung[k].coda and sounding >= 1:
                _hold(notes, sung[k], rng)
            at += length * beat
    return Score(
        tuple(notes),
        notes[-1].end + 1,
        f"song{seed}",
        ((0.0, 60 / beat),),
        tuple(phrases),
        tuple(words),
    )


def _rhythm(rng: random.Random, bars: int) -> list[tuple[float, float]]:
    """(beats to the next note, beats of the note) that fill the bars."""
    durations: list[tuple[float, float]] = []
    for bar in range(bars):
        last = bar == bars - 1
        pattern = rng.choice(
            [[1, 1, 2], [1, 1, 1, 1], [0.5, 0.5, 1, 2]] if last else
            [[1, 1, 1, 1], [0.5, 0.5, 1, 1, 1], [1.5, 0.5, 1, 1], [1, 1, 2], [0.5] * 4 + [1, 1]]
        )  # fmt: skip
        durations += [(length, length) for length in pattern]
    length = durations[-1][0]
    rest = rng.choice([0, 0.5, 1]) if length > 1 else 0.5
    durations[-1] = (length, length - rest)
    return durations


def _words(rng: random.Random, syllables: int) -> list[str]:
    line: list[str] = []
    while (left := syllables - sum(map(len, line))) > 0:
        fitting = [w for w in WORDS if len(w) <= left and left - len(w) != 1] or ["아" * left]
        line.append(rng.choice([*fitting, line[-1]] if line and line[-1] in fitting else fitting))
    return line


def _hold(notes: list[Note], syllable: phones.Syllable, rng: random.Random) -> None:
    """Cut the last note into two, the second of which holds the vowel."""
    note = notes.pop()
    middle = (note.start + note.end) / 2
    vowel = phones.vowel(syllable.nucleus)
    notes.append(replace(note, end=middle))
    notes.append(Note(middle, note.end, note.pitch + rng.choice([-2, 2]), "", True, (vowel,)))


def write_song(score: Score, root: Path, name: str = "kr001a") -> Path:
    write_csd(score, root, name)
    return root / "csv" / f"{name}.csv"


def injected(items: list, fault: str, at: int) -> list:
    """The list with item `at` dropped, doubled, or exchanged with the next."""
    if fault == "drop":
        return items[:at] + items[at + 1 :]
    if fault == "double":
        return items[: at + 1] + items[at:]
    return [*items[:at], items[at + 1], items[at], *items[at + 2 :]]


def damage_text(path: Path, fault: str, at: int, separator: str) -> bool:
    """Inject a fault into a txt (separator " ") or lyric file (""); False if nothing changes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        items = line.split(" ") if separator else list(line)
        places = [k for k, item in enumerate(items) if item != " "]
        if at < len(places):
            changed = _damage_line(items, places, fault, at)
            lines[number] = separator.join(changed)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            return changed != items
        at -= len(places)
    raise IndexError(at)


def _damage_line(items: list[str], places: list[int], fault: str, at: int) -> list[str]:
    items = list(items)
    here = places[at]
    if fault != "swap":
        return injected(items, fault, here)
    if at + 1 < len(places):
        there = places[at + 1]
        items[here], items[there] = items[there], items[here]
    return items


def damage_csv(path: Path, fault: str, at: int, syllable: bool) -> bool:
    """Inject a fault into the rows; with `syllable`, exchange only the last column."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    if fault == "swap" and at + 1 >= len(rows):
        return False
    if fault == "swap":
        cells = [row.split(",") for row in rows]
        columns = slice(3, 4) if syllable else slice(2, 4)
        a, b = cells[at][columns], cells[at + 1][columns]
        cells[at][columns], cells[at + 1][columns] = b, a
        changed = [",".join(row) for row in cells]
    else:
        changed = injected(rows, fault, at)
    path.write_text("\n".join([header, *changed]) + "\n", encoding="utf-8")
    return changed != rows


def damage_notes(notes: list[Note], fault: str, at: int) -> list[Note]:
    """Drop a note (leaves a gap), split it into two, or exchange the pitches of two notes."""
    if fault == "drop":
        return notes[:at] + notes[at + 1 :]
    note = notes[at]
    if fault == "double":
        middle = (note.start + note.end) / 2
        return [
            *notes[:at], replace(note, end=middle), replace(note, start=middle), *notes[at + 1 :]
        ]  # fmt: skip
    if at + 1 >= len(notes):
        return list(notes)
    a, b = replace(note, pitch=notes[at + 1].pitch), replace(notes[at + 1], pitch=note.pitch)
    return [*notes[:at], a, b, *notes[at + 2 :]]
