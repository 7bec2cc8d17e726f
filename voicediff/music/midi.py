"""Reader and writer of standard MIDI files with lyric events."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mido

from voicediff.errors import DataError
from voicediff.files import replacing
from voicediff.music.melody import Melody, RawNote
from voicediff.music.score import Score
from voicediff.music.tempo import TempoMap

DRUMS = 9
RESOLUTION = 960  # ticks per beat in written files: 0.52 ms at 120 bpm
_BREAKS = "\r\n/\\"


@dataclass(frozen=True)
class _Track:
    """Notes (tick, end tick, pitch) and lyrics (tick, text) of one track."""

    name: str
    notes: list[tuple[int, int, int]]
    lyrics: list[tuple[int, str]]


def read_midi(path: str | Path) -> Melody:
    """The melody of a MIDI file, with its lyric events if it has any.

    The tempo map is built from all tracks. Raises DataError for a damaged file, and for several
    tracks with notes unless exactly one has lyrics.
    """
    path = Path(path)
    file = _parse(path)
    changes, voices, end = [], [], 0
    for track in file.tracks:
        voice, tempos, length = _read_track(track, path)
        changes += tempos
        end = max(end, length)
        voices.append(voice)
    tempo = TempoMap.of(changes, file.ticks_per_beat, str(path))
    voice = _choose(voices, path)
    lyrics = voice.lyrics or [item for other in voices for item in other.lyrics]
    notes = _with_lyrics(voice.notes, sorted(lyrics, key=lambda item: item[0]), tempo)
    return Melody(
        tuple(notes),
        tempo.to_seconds(end),
        str(path),
        path.stem,
        tempo.points,
        _stray(voice.notes, lyrics, tempo),
    )


def write_midi(score: Score, path: str | Path) -> None:
    """Write one track: tempo, notes, and a lyric event for each (`-` holds the previous syllable).

    A space ends a word, a carriage return a line, as the MIDI lyric specification recommends.
    """
    tempo = TempoMap.of(_ticks_of(score.tempo), RESOLUTION, str(path))
    events: list[tuple[int, int, mido.Message | mido.MetaMessage]] = []
    for tick, bpm in zip(tempo.ticks, tempo.bpm, strict=True):
        events.append((round(tick), 0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))))
    for index, note in enumerate(score.notes):
        start, end = (round(tempo.to_ticks(time)) for time in (note.start, note.end))
        text = _lyric(score, index)
        if text:
            events.append((start, 2, mido.MetaMessage("lyrics", text=text)))
        events.append((start, 3, mido.Message("note_on", note=note.pitch, velocity=90)))
        events.append((max(end, start + 1), 1, mido.Message("note_off", note=note.pitch)))
    end = max(round(tempo.to_ticks(score.duration)), max(tick for tick, _, _ in events))
    events.append((end, 4, mido.MetaMessage("end_of_track")))
    file = mido.MidiFile(type=0, ticks_per_beat=RESOLUTION, charset="utf-8")
    track = file.add_track(score.title or None)
    at = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - at))
        at = tick
    with replacing(path) as out:
        file.save(file=out)


def _parse(path: Path) -> mido.MidiFile:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    try:
        file = mido.MidiFile(file=io.BytesIO(content), charset="latin1")
    except Exception as error:  # mido has no common exception class for damaged files
        what = "it is truncated" if isinstance(error, EOFError) else str(error)
        raise DataError(f"{path}: damaged or no MIDI file ({what}); export it again") from error
    if file.type == 2:
        raise DataError(f"{path}: MIDI of type 2 (several songs); export it as type 0 or 1")
    return file


def _read_track(track: mido.MidiTrack, path: Path) -> tuple[_Track, list[tuple[float, float]], int]:
    tick = 0
    tempos, notes, lyrics = [], [], []
    active: dict[tuple[int, int], int] = {}
    for message in track:
        tick += message.time
        if message.type == "set_tempo":
            tempos.append((tick, 60e6 / message.tempo if message.tempo else 0.0))
        elif message.type == "lyrics":
            lyrics.append((tick, _utf8(message.text, path)))
        elif message.type in ("note_on", "note_off") and message.channel != DRUMS:
            key = (message.channel, message.note)
            if key in active:  # also a second note_on of the same pitch ends the first
                notes.append((active.pop(key), tick, message.note))
            if message.type == "note_on" and message.velocity:
                active[key] = tick
    if active:
        (_, pitch), start = next(iter(active.items()))
        raise DataError(f"{path}: the note of pitch {pitch} at tick {start} never ends; end it")
    return _Track(track.name, sorted(notes), lyrics), tempos, tick


def _utf8(text: str, path: Path) -> str:
    try:
        return text.encode("latin1").decode("utf-8")
    except UnicodeError as error:
        raise DataError(
            f"{path}: lyric events are not UTF-8; export them as UTF-8 or give a text file"
        ) from error


def _choose(voices: list[_Track], path: Path) -> _Track:
    melodic = [voice for voice in voices if voice.notes]
    if not melodic:
        raise DataError(f"{path}: no notes; add the melody")
    sung = [voice for voice in melodic if voice.lyrics]
    if len(melodic) > 1 and len(sung) != 1:
        names = ", ".join(repr(voice.name or "unnamed") for voice in melodic[:6])
        raise DataError(f"{path}: {len(melodic)} tracks with notes ({names}); keep the melody only")
    return sung[0] if len(melodic) > 1 else melodic[0]


def _with_lyrics(
    notes: list[tuple[int, int, int]], lyrics: list[tuple[int, str]], tempo: TempoMap
) -> Iterator[RawNote]:
    texts: dict[int, str] = {}
    for tick, text in lyrics:
        texts[tick] = texts.get(tick, "") + text
    previous = _BREAKS
    for start, end, pitch in notes:
        text = texts.get(start)
        line = previous.endswith(tuple(_BREAKS)) or bool(text and text.startswith(tuple(_BREAKS)))
        word = line or previous[-1:].isspace() or bool(text and text[0].isspace())
        bare = None if text is None else text.strip(_BREAKS + " \t")
        if bare is not None:
            previous = text
        yield RawNote(
            tempo.to_seconds(start), tempo.to_seconds(end), pitch, bare or None, word, line
        )


def _stray(
    notes: list[tuple[int, int, int]], lyrics: list[tuple[int, str]], tempo: TempoMap
) -> tuple[tuple[float, str], ...]:
    begins = {start for start, _, _ in notes}
    found = [(tick, text.strip(_BREAKS + " \t")) for tick, text in lyrics if tick not in begins]
    return tuple((tempo.to_seconds(tick), text) for tick, text in found if text)


def _lyric(score: Score, index: int) -> str:
    note = score.notes[index]
    text = "-" if note.slur else note.syllable
    if text and index + 1 in score.phrases:
        return text + "\r"
    return text + " " if text and index + 1 in score.words else text


def _ticks_of(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """(ticks, bpm) of (seconds, bpm) pairs."""
    ticks, previous = [], None
    for seconds, bpm in points:
        at = 0.0
        if previous:
            at = ticks[-1][0] + (seconds - previous[0]) * previous[1] / 60 * RESOLUTION
        ticks.append((at, bpm))
        previous = (seconds, bpm)
    return ticks
