"""The mini corpus: generated songs in the layout of the Children's Song Dataset (Choi et al. 2020).

    CSD/metadata.json
    CSD/korean/{wav,mid,lyric,txt,csv,f0}/kr001a.* kr001b.* ... kr050b.*

`f0`, which the real corpus does not have, is the F0 used in synthesis. As in the real corpus, a and
b are one song in two keys 3 to 5 semitones apart; songs 001 to 045 are for training, 046 for
development and 047 to 050 for the test. Tunes and words of the songs from 046 on do not occur in
training songs. A small corpus has fewer songs of each split, with the same numbers.

The corpus is a deterministic function of the seed: each song has a random generator initialised
from seed and name. It contains nothing of the real corpus. A model can learn it almost exactly, so
it tests the software, not the quality of singing.
"""

from __future__ import annotations

import wave
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

from voicediff.corpora.csd.lines import spoken, write_line
from voicediff.corpora.csd.singer import Singing, SungNote, sing
from voicediff.corpora.csd.tunes import Tune, held_out_tunes, training_tunes
from voicediff.corpora.csd.voice import CONTROL, RATE
from voicediff.corpora.csd.words import Words, held_out_words, training_words
from voicediff.errors import DataError
from voicediff.files import whole_folder, write_json
from voicediff.music.csd import write_csd
from voicediff.music.score import Note, Score
from voicediff.text import hangul, phones

VERSION = 3  # increased when a seed gives other songs
TRAINING, DEVELOPMENT, TEST = range(1, 46), range(46, 47), range(47, 51)
KEYS = "ab"
LOWEST, HIGHEST = 53, 76  # MIDI numbers of the real corpus
_SONG = 18.0  # seconds per song in a corpus with all 50 songs
_SLURS = 0.05
_SHORTEST_SLUR = 0.4  # beats


@dataclass(frozen=True)
class Song:
    """A song in one key, before it is sung."""

    name: str
    title: str
    tempo: float
    metre: str
    score: Score


def make_corpus(
    folder: str | Path, minutes: float = 30.0, seed: int = 1, jobs: int = 1
) -> Iterator[str]:
    """Write the corpus to `folder` (the `CSD` of the layout), atomically.

    Yields the name of each completed song. Audio is 44.1 kHz, 16 bit, mono. Its total length is
    `minutes`, rests included, within about 10 %. Raises DataError if nothing can be written.
    """
    if minutes <= 0:
        raise DataError(f"mini corpus: {minutes} minutes; give more than 0")
    with whole_folder(folder) as root:
        pairs = [compose(number, minutes, seed) for number in song_numbers(minutes)]
        songs = [song for pair in pairs for song in pair]
        work = (joblib.delayed(_write)(song, root / "korean", seed) for song in songs)
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(work)
        write_json(root / "metadata.json", {song.name: _described(song) for song in songs})


def song_numbers(minutes: float) -> list[int]:
    """Song numbers of a corpus of this size: all 50, or fewer of each split in proportion."""
    count = round(minutes * 60 / (2 * _SONG))
    if count >= 50:
        return [*TRAINING, *DEVELOPMENT, *TEST]
    test = min(max(round(count * 0.08), 1), 4)
    training = max(count - test - 1, 2)
    return [*TRAINING[:training], *DEVELOPMENT, *TEST[:test]]


def compose(number: int, minutes: float, seed: int) -> list[Song]:
    """Compose song `number`: lyrics and notes in both keys."""
    rng = generator(seed, f"kr{number:03d}")
    tune, words = _material(number)
    tempo = round(tune.tempo * rng.uniform(0.9, 1.12))
    seconds = minutes * 60 / (2 * len(song_numbers(minutes)))
    phrases, lines = _choose_phrases(tune, tempo, seconds, words, rng)
    timed = _set_in_time(phrases, lines, tempo, rng)
    low, high = min(tune.pitches), max(tune.pitches)
    interval = int(rng.integers(3, 6))
    tonic = int(rng.integers(LOWEST + 2 - low, max(HIGHEST - interval - high, LOWEST + 3 - low)))
    first_words = " ".join(lines[0].split()[:3])
    return [
        Song(
            name=f"kr{number:03d}{key}",
            title=f"{first_words} ({tune.name})",
            tempo=tempo,
            metre=tune.metre,
            score=_score(f"kr{number:03d}{key}", timed, tonic + shift, tempo),
        )
        for key, shift in zip(KEYS, (0, interval), strict=True)
    ]


def perform(song: Song, seed: int) -> Singing:
    """Synthesise a song; the two keys of a song are independent performances."""
    notes = [
        SungNote(n.start, n.end, n.pitch, phones.parse(n.phones or ()), n.slur)
        for n in song.score.notes
    ]
    return sing(notes, song.score.duration, generator(seed, song.name))


def generator(seed: int, name: str) -> np.random.Generator:
    """A random generator that depends only on seed and name."""
    return np.random.Generator(np.random.Philox(zlib.crc32(f"{seed} {name}".encode())))


@dataclass(frozen=True)
class _Timed:
    """A note relative to the tonic: seconds, semitones, written and spoken syllable."""

    start: float
    end: float
    degree: int
    written: str
    syllable: phones.Syllable
    slur: bool
    line: bool
    word: bool


def _material(number: int) -> tuple[Tune, Words]:
    if number in TRAINING:
        tunes = training_tunes()
        return tunes[(number - 1) % len(tunes)], training_words()
    return held_out_tunes()[number - DEVELOPMENT[0]], held_out_words()


def _choose_phrases(
    tune: Tune, tempo: float, seconds: float, words: Words, rng: np.random.Generator
) -> tuple[list, list[str]]:
    """Phrases of the tune from a random start until the song is long enough, and their lyrics."""
    at = int(rng.integers(len(tune.phrases)))
    phrases, lines, beats = [], [], 0.0
    wanted = (seconds - 1.0) * tempo / 60
    while not phrases or beats + 0.5 * _beats(tune.phrases[at % len(tune.phrases)]) < wanted:
        phrase = tune.phrases[at % len(tune.phrases)]
        slurs = _slurs(phrase, rng)
        phrases.append(list(zip(phrase, slurs, strict=True)))
        lines.append(write_line(len(phrase) - sum(slurs), words, rng))
        beats += _beats(phrase) + 1
        at += 1
    return phrases, lines


def _beats(phrase: tuple[tuple[int, float], ...]) -> float:
    return sum(beats for _, beats in phrase)


def _slurs(phrase: tuple[tuple[int, float], ...], rng: np.random.Generator) -> list[bool]:
    """Which notes are slurs: a random choice of notes up to 4 semitones from the previous one."""
    slurs = [False] * len(phrase)
    for i in range(1, len(phrase) - 1):
        step = abs(phrase[i][0] - phrase[i - 1][0])
        slurs[i] = 0 < step <= 4 and not slurs[i - 1] and bool(rng.random() < 1.7 * _SLURS)
    return slurs


def _set_in_time(
    phrases: list, lines: list[str], tempo: float, rng: np.random.Generator
) -> list[_Timed]:
    beat = 60 / tempo
    time = rng.uniform(0.4, 0.8)
    timed: list[_Timed] = []
    for phrase, line in zip(phrases, lines, strict=True):
        sung = _distribute(line, [slur for _, slur in phrase])
        for i, (((degree, beats), slur), (written, syllable, word)) in enumerate(
            zip(phrase, sung, strict=True)
        ):
            length = beats * beat
            following_slur = i + 1 < len(phrase) and phrase[i + 1][1]
            gap = 0.0 if following_slur or rng.random() < 0.3 else rng.uniform(0.005, 0.03)
            if i + 1 == len(phrase):
                gap = 0.12 * length
            end = time + length - min(gap, 0.2 * length)
            timed.append(_Timed(time, end, degree, written, syllable, slur, i == 0, word))
            time += length
        time += beat * rng.choice([0.5, 1.0, 1.0, 2.0])
    return timed


def _distribute(line: str, slurs: list[bool]) -> list[tuple[str, phones.Syllable, bool]]:
    """(written, spoken, begins a word) of each note; slurs have a vowel and a coda."""
    syllables = phones.from_spoken(spoken(line))
    written = [(c, i == 0 or line[i - 1] == " ") for i, c in enumerate(line) if c != " "]
    notes: list[tuple[str, phones.Syllable, bool]] = []
    heads = iter(zip(written, syllables, strict=True))
    for slur in slurs:
        if not slur:
            (text, word), syllable = next(heads)
            notes.append((text, syllable, word))
            continue
        text, head, word = notes[-1]
        notes[-1] = (_open(text), phones.Syllable(head.onset, head.nucleus, ()), word)
        held = phones.vowel(head.nucleus)
        tail = hangul.decompose(text)[2]
        notes.append((_vowel_syllable(held, tail), phones.Syllable((), held, head.coda), False))
    return notes


def _open(text: str) -> str:
    lead, vowel, _ = hangul.decompose(text)
    return hangul.compose(lead, vowel)


def _vowel_syllable(held: str, tail: str) -> str:
    """Hangul for a held vowel and the tail that ends it."""
    letters = dict(zip(phones.VOWELS, "ㅏㅐㅔㅓㅗㅜㅡㅢㅣㅚ", strict=True))
    return hangul.compose("ㅇ", letters[held], tail)


def _score(name: str, timed: list[_Timed], tonic: int, tempo: float) -> Score:
    notes = tuple(
        Note(
            round(note.start, 6),
            round(note.end, 6),
            tonic + note.degree,
            note.written,
            note.slur,
            phones.split_glide(note.syllable),
        )
        for note in timed
    )
    return Score(
        notes,
        duration=round(notes[-1].end + 0.7, 3),
        title=name,
        tempo=((0.0, float(tempo)),),
        phrases=tuple(i for i, note in enumerate(timed) if note.line),
        words=tuple(i for i, note in enumerate(timed) if note.word),
    )


def _write(song: Song, root: Path, seed: int) -> str:
    write_csd(song.score, root, song.name)
    sung = perform(song, seed)
    (root / "f0").mkdir(parents=True, exist_ok=True)
    np.savez(root / "f0" / f"{song.name}.npz", f0=sung.f0.astype(np.float32), rate=CONTROL)
    samples = np.round(sung.wav * 32767).astype("<i2")
    path = root / "wav" / f"{song.name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return song.name


def _described(song: Song) -> dict[str, str | float]:
    return {"song_name": song.title, "tempo": song.tempo, "time_signature": song.metre}
