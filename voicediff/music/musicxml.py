"""Reader of MusicXML scores (`.musicxml`, `.xml`, compressed `.mxl`): one voice with its lyrics.

Supported are notes, rests, ties, slurs, lyrics, tempo, and `backup`/`forward`. Repeats are rejected
instead of expanded, because a second verse could not be distinguished from missing lyrics.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from voicediff.errors import DataError
from voicediff.music.melody import Melody, RawNote
from voicediff.music.tempo import TempoMap

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_BEATS = {"whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}
_LARGEST = 64 * 2**20  # bytes of an unpacked score


def read_musicxml(path: str | Path) -> Melody:
    """The voice with lyrics, or the only voice, of a score. Raises DataError."""
    path = Path(path)
    root = _parse(path)
    if root.tag != "score-partwise":
        raise DataError(f"{path}: <{root.tag}> instead of <score-partwise>; export it as MusicXML")
    reader = _Reader(str(path))
    try:
        for part in root.findall("part"):
            reader.read_part(part)
        title = root.findtext("work/work-title") or root.findtext("movement-title") or path.stem
        voice = reader.choose()
        tempo = TempoMap.of(reader.tempos, 1.0, str(path))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError) as error:
        raise DataError(f"{path}: damaged MusicXML ({error}); export it again") from error
    notes = sorted(_timed(voice, tempo), key=lambda note: note.start)
    return Melody(tuple(notes), tempo.to_seconds(reader.end), str(path), title, tempo.points)


@dataclass
class _Written:
    """A note in beats (quarters)."""

    start: float
    end: float
    pitch: int
    text: str | None
    word: bool
    slurred: bool
    tied: bool


@dataclass
class _Reader:
    """Collects the notes of each voice while iterating over parts and measures."""

    source: str
    voices: dict[tuple[str, str], list[_Written]] = field(default_factory=dict)
    tempos: list[tuple[float, float]] = field(default_factory=list)
    end: float = 0.0

    def read_part(self, part: ET.Element) -> None:
        self.divisions, self.semitones = 1.0, 0
        self.open: dict[str, int] = {}  # slurs and lyric extensions of each voice
        at = 0.0
        for measure in part.findall("measure"):
            at = self._read_measure(part.get("id", ""), measure, at)
            self.end = max(self.end, at)

    def choose(self) -> list[_Written]:
        """The voice with lyrics, or the only voice."""
        sung = [v for v in self.voices.values() if any(n.text for n in v)]
        candidates = sung or list(self.voices.values())
        if not candidates:
            raise DataError(f"{self.source}: no notes; add the melody")
        if len(candidates) > 1:
            raise DataError(
                f"{self.source}: {len(candidates)} voices {'with lyrics' if sung else ''}; keep one"
            )
        return candidates[0]

    def _read_measure(self, part: str, measure: ET.Element, at: float) -> float:
        latest, begin = at, at
        for element in measure:
            if element.tag == "attributes":
                self.divisions = float(element.findtext("divisions") or self.divisions)
                self.semitones = int(element.findtext("transpose/chromatic") or self.semitones)
            elif element.tag == "note":
                at, begin = self._read_note(part, element, at, begin)
            elif element.tag in ("backup", "forward"):
                at += self._length(element) * (-1 if element.tag == "backup" else 1)
            elif element.tag in ("direction", "sound"):
                self.tempos += [(at, bpm) for bpm in _tempo(element)]
            elif element.tag == "barline" and element.find("repeat") is not None:
                raise DataError(
                    f"{self.source}: repeat sign in measure {measure.get('number', '?')}; "
                    "expand repeats in the notation program"
                )
            latest = max(latest, at)
        return latest

    def _length(self, element: ET.Element) -> float:
        return float(element.findtext("duration") or 0) / self.divisions

    def _read_note(
        self, part: str, note: ET.Element, at: float, begin: float
    ) -> tuple[float, float]:
        if note.find("grace") is not None or note.find("cue") is not None:
            return at, begin
        length = self._length(note)
        if note.find("chord") is None:
            begin = at
            at += length
        pitch = note.find("pitch")
        if pitch is None or note.find("rest") is not None:
            return at, begin
        key = (part, note.findtext("voice") or "1")
        voice = self.voices.setdefault(key, [])
        text, word, extends = _lyric(note)
        ties = {tie.get("type") for tie in note.findall("tie")}
        number = self._pitch(pitch)
        if "stop" in ties and text is None and voice and voice[-1].tied:
            if voice[-1].pitch == number:
                voice[-1].end, voice[-1].tied = begin + length, "start" in ties
                return at, begin
        slurred = text is None and self.open.get(key[1], 0) > 0
        voice.append(_Written(begin, begin + length, number, text, word, slurred, "start" in ties))
        self._follow_slurs(note, key[1], text, extends)
        return at, begin

    def _follow_slurs(self, note: ET.Element, voice: str, text: str | None, extends: bool) -> None:
        types = [slur.get("type") for slur in note.findall("notations/slur")]
        if text is not None:
            self.open[voice] = (
                100 if extends else 0
            )  # an extender line lasts until the next syllable
        change = types.count("start") - types.count("stop")
        self.open[voice] = max(self.open.get(voice, 0) + change, 0)

    def _pitch(self, pitch: ET.Element) -> int:
        step = _STEPS[(pitch.findtext("step") or "").strip()]
        octave = int(pitch.findtext("octave") or "")
        alter = round(float(pitch.findtext("alter") or 0))
        return 12 * (octave + 1) + step + alter + self.semitones


def _timed(voice: list[_Written], tempo: TempoMap) -> Iterator[RawNote]:
    for note in voice:
        text = "-" if note.slurred and note.text is None else note.text
        start, end = tempo.to_seconds(note.start), tempo.to_seconds(note.end)
        yield RawNote(start, end, note.pitch, text, note.word)


def _lyric(note: ET.Element) -> tuple[str | None, bool, bool]:
    """Text of the first verse, whether it begins a word, whether it has an extender line."""
    lyric = note.find("lyric")
    if lyric is None:
        return None, False, False
    text = "".join((part.text or "") for part in lyric.findall("text")).strip()
    word = (lyric.findtext("syllabic") or "single") in ("single", "begin")
    extend = lyric.find("extend")
    if not text:
        held = extend is not None
        return ("-" if held else None), False, held
    return text, word, extend is not None


def _tempo(element: ET.Element) -> Iterator[float]:
    sound = element if element.tag == "sound" else element.find("sound")
    if sound is not None and sound.get("tempo"):
        yield float(sound.get("tempo") or 0)
        return
    metronome = element.find("direction-type/metronome")
    if metronome is not None and metronome.findtext("per-minute"):
        beat = _BEATS.get(metronome.findtext("beat-unit") or "quarter", 1.0)
        dotted = 1.5 if metronome.find("beat-unit-dot") is not None else 1.0
        yield float(metronome.findtext("per-minute") or 0) * beat * dotted


def _parse(path: Path) -> ET.Element:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".mxl" or content[:2] == b"PK":
            content = _unpack(content, path)
        return ET.fromstring(content)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: not XML ({error}); export it again") from error


def _unpack(content: bytes, path: Path) -> bytes:
    """The score in a compressed file: the first root file of its container."""
    damaged = (
        zipfile.BadZipFile,
        KeyError,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        EOFError,
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            container = ET.fromstring(_member(archive, "META-INF/container.xml", path))
            rootfile = container.find(".//{*}rootfile")
            if rootfile is None:
                raise DataError(f"{path}: its container names no score; export it again")
            return _member(archive, rootfile.get("full-path", ""), path)
    except damaged as error:
        raise DataError(f"{path}: damaged .mxl file ({error}); export it again") from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    with archive.open(name) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise DataError(f"{path}: over {_LARGEST // 2**20} MiB unpacked; not a score")
    return content
