"""Examples of singing: left the recording, right generated, with F0 over the notes."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from voicediff.audio import MelSpec, f0, log_mel, mel_filters, read_wav
from voicediff.errors import ConfigError
from voicediff.music.score import Score
from voicediff.registry import build
from voicediff.report.chart import Side, pair
from voicediff.report.page import Clip, Example, Pair
from voicediff.report.picture import Bar, Picture, spectrogram_image
from voicediff.report.singing_rows import Row, read_info
from voicediff.report.sound import Encoded
from voicediff.text import hangul
from voicediff.text.phones import from_spoken

LINES = 4  # of a song on the page
READABLE = 32  # syllables that fit side by side in one picture
WIDEST = 1200  # pixels of a spectrogram
TICKS = (500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)  # Hz


@dataclass(frozen=True)
class Line:
    """One utterance: the song it is from, its seconds there, its score (times relative to `start`)."""

    utt: str
    song: str
    start: float
    end: float
    score: Score

    @property
    def lyrics(self) -> str:
        return " / ".join(text for text, _ in self.score.lyric_lines() if text)


def choose_songs(titles: Mapping[str, str], wanted: Sequence[str], count: int = 3) -> list[str]:
    """Songs by title or name, else the first `count` of different titles.

    Args:
        titles: title by song. Of two songs with one title (two keys) the first is taken.
        wanted: spaces and punctuation are ignored.

    Raises ConfigError for an unknown title.
    """
    by_title: dict[str, str] = {}
    for song, title in titles.items():
        by_title.setdefault(_plain(title), song)
    if not wanted:
        return list(by_title.values())[:count]
    by_title |= {_plain(song): song for song in titles}
    unknown = [title for title in wanted if _plain(title) not in by_title]
    if unknown:
        choices = list(dict.fromkeys(titles.values()))
        close = difflib.get_close_matches(unknown[0], choices, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ";"
        more = f" and {len(choices) - 12} more" if len(choices) > 12 else ""
        raise ConfigError(
            f"--examples: no test song {unknown[0]!r}{hint} choices: {', '.join(choices[:12])}{more}"
        )
    return list(dict.fromkeys(by_title[_plain(title)] for title in wanted))


def split_titles(arguments: Sequence[str]) -> list[str]:
    """Titles from command-line arguments; one argument may hold several, separated by `;`."""
    return [title.strip() for text in arguments for title in text.split(";") if title.strip()]


class SongExamples:
    """Makes examples and pictures of songs from the rows of a decoding.

    Args:
        rows: `natural` is shown left, the others are the choices right.
        chosen: name of the row that pictures show.
        folders: whole songs by name (see `song_folders`).
    """

    def __init__(
        self,
        rows: Sequence[Row],
        chosen: str,
        lines: Sequence[Line],
        folders: Mapping[str, Path],
        mel: MelSpec,
    ):
        self.natural = next(row for row in rows if row.name == "natural")
        self.others = [row for row in rows if row.name != "natural"]
        self.chosen = next(row for row in rows if row.name == chosen)
        self.lines, self.folders, self.mel = lines, folders, mel

    def example(self, song: str, title: str) -> Example:
        """The whole song if it was decoded, and its first lines."""
        lines = self._lines(song)
        pairs = [self._line_pair(number, line) for number, line in enumerate(lines[:LINES], 1)]
        if song in self.folders:
            pairs.insert(0, self._song_pair(song))
        notes = sum(len(line.score.notes) for line in lines)
        return Example(title, f"{song} · {len(lines)} lines, {notes} notes", pairs)

    def picture(self, song: str, title: str) -> Encoded:
        """The first line of the song, recording and generated side by side."""
        line = self._lines(song)[0]
        left, right = (
            Side(row.title, row.mel(line.utt, self.mel.n_mels), self._f0(self._wav(row, line.utt)))
            for row in (self.natural, self.chosen)
        )
        bars = bars_of(line.score)
        latin = {bar.text: romanised(bar.text) for bar in bars}
        return pair(left, right, bars, self.mel.frame_rate, f"{title} ({line.utt})", latin)

    def _lines(self, song: str) -> list[Line]:
        return sorted((line for line in self.lines if line.song == song), key=lambda x: x.start)

    def _line_pair(self, number: int, line: Line) -> Pair:
        natural = self.natural.mel(line.utt, self.mel.n_mels)
        wav = self._wav(self.natural, line.utt)
        view = _View(self.mel, line.score, natural, self._f0(wav))
        name = f"line {number}"
        left = view.clip("Recording", f"recording, {name}", wav, natural, view.f0)
        right = {}
        for row in self.others:
            sound = self._wav(row, line.utt)
            mel = row.mel(line.utt, self.mel.n_mels)
            label = f"{row.title}, {name}"
            right[row.name] = view.clip(_heading(row), label, sound, mel, self._f0(sound))
        title = f"Line {number}, {line.start:.1f} to {line.end:.1f} s: {line.lyrics}"
        return Pair(title, left, right)

    def _song_pair(self, song: str) -> Pair:
        folder, rate = self.folders[song], self.mel.sample_rate
        score = Score.from_dict(read_info(folder / "score.json"), str(folder / "score.json"))
        wavs = [read_wav(folder / f"{name}.wav", rate)[0] for name in ("natural", "generated")]
        mels = [log_mel(torch.from_numpy(wav), self.mel).numpy() for wav in wavs]
        pitches = [self._f0(wav) for wav in wavs]
        view = _View(self.mel, score, mels[0], pitches[0])
        heading = _song_heading(folder)
        left = view.clip("Recording", f"recording, whole song {song}", wavs[0], mels[0], pitches[0])
        right = view.clip(heading, f"{heading}, whole song {song}", wavs[1], mels[1], pitches[1])
        return Pair(f"The whole song, {score.duration:.1f} s", left, {"song": right})

    def _wav(self, row: Row, utt: str) -> np.ndarray:
        return row.wav(utt, self.mel.sample_rate)

    def _f0(self, wav: np.ndarray) -> np.ndarray:
        return f0(wav, self.mel.sample_rate, self.mel.hop)


@dataclass
class _View:
    """Notes, colours and pitch range that the pictures of one pair share."""

    spec: MelSpec
    score: Score
    mel: np.ndarray  # of the reference
    f0: np.ndarray

    def clip(
        self, title: str, label: str, wav: np.ndarray, mel: np.ndarray, f0: np.ndarray
    ) -> Clip:
        low, high = float(np.percentile(self.mel, 5)), float(self.mel.max())
        image = spectrogram_image(_narrowed(mel), low, high)
        seconds = len(wav) / self.spec.sample_rate
        picture = Picture(seconds, f"spectrogram, and F0 over the notes: {label}")
        picture.spectrogram(image, mel_ticks(self.spec))
        bars = bars_of(self.score)
        if sum(bool(bar.text) for bar in bars) > READABLE:
            bars = [Bar(bar.start, bar.end, bar.pitch) for bar in bars]
        picture.roll(bars, f0, self.spec.frame_rate, range_of=self.f0)
        return Clip(title, label, wav, self.spec.sample_rate, picture.svg())


def bars_of(score: Score) -> list[Bar]:
    """The notes for a piano roll; notes under a slur carry no syllable."""
    return [Bar(n.start, n.end, n.pitch, "" if n.slur else n.syllable) for n in score.notes]


def mel_ticks(spec: MelSpec) -> list[tuple[float, str]]:
    """Ticks of round frequencies on a mel-spectrogram: (share of the height, text)."""
    peaks = mel_filters(spec).argmax(1).numpy() * spec.sample_rate / spec.n_fft
    inside = [hz for hz in TICKS if peaks[0] < hz < peaks[-1]]
    places = np.interp(inside, peaks, (np.arange(spec.n_mels) + 0.5) / spec.n_mels)
    texts = (f"{hz / 1000:g}k" for hz in inside)
    return [(float(place), text) for place, text in zip(places, texts, strict=True)]


def romanised(text: str) -> str:
    """Hangul in the Latin phones of the corpus, `강` -> `gang`; other letters are kept."""
    return "".join(
        "".join(from_spoken(letter)[0].tokens) if hangul.is_syllable(letter) else letter
        for letter in text
    )


def _heading(row: Row) -> str:
    return row.title[:1].upper() + row.title[1:]


def _song_heading(folder: Path) -> str:
    path = folder / "info.json"
    sampler = read_info(path).get("sampler") if path.is_file() else None
    if not isinstance(sampler, dict):
        return "Generated"
    try:
        nfe = build("sampler", sampler, at=str(path)).nfe
    except ConfigError:  # a sampler outside the package that is not imported here
        nfe = None
    return f"Generated, {sampler.get('name')}" + ("" if nfe is None else f", NFE {nfe}")


def _narrowed(mel: np.ndarray) -> np.ndarray:
    """Neighbouring frames averaged to at most WIDEST columns."""
    step = -(-mel.shape[1] // WIDEST)
    if step == 1:
        return mel
    padded = np.pad(mel, ((0, 0), (0, -mel.shape[1] % step)), mode="edge")
    return padded.reshape(len(mel), -1, step).mean(2)


def _plain(text: str) -> str:
    """Letters and digits only, in NFC."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text).casefold()))
