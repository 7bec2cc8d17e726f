"""Speech of mini LRS3: espeak-ng synthesises a sentence with the times of its phonemes."""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import soxr

from voicediff.errors import ConfigError, DataError
from voicediff.optional import require

SAMPLE_RATE = 16000
_PURPOSE = "mini LRS3 (real recordings: --lrs3-root, --vox2-root or --grid-root)"
_SYNCHRONOUS, _PHONEME_EVENTS, _STAY_ALIVE, _UTF8 = 2, 1, 0x8000, 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # parameters
_WORD, _PHONEME = 1, 7  # types of events


@dataclass(frozen=True)
class Voice:
    """The voice of a speaker.

    Attributes:
        name: espeak-ng's language and variant, e.g. "en-us+m3".
        pitch, range: espeak-ng's scales, 0 to 99; 50 is the default of the variant.
        rate: words per minute.
        size: factor on all frequencies (a shorter vocal tract above 1).
        tilt: dB per octave added around 1 kHz.
    """

    name: str
    pitch: float = 50.0
    range: float = 50.0
    rate: float = 160.0
    size: float = 1.0
    tilt: float = 0.0


@dataclass(frozen=True)
class Phone:
    """A phoneme in espeak-ng's notation without stress marks ("" is a pause), or a word; times in s."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Synthesised speech: `sound` (N,) float32 at 16 kHz, times of phonemes and words."""

    sound: np.ndarray
    phones: tuple[Phone, ...]
    words: tuple[Phone, ...]


def speak(text: str, voice: Voice) -> Speech:
    """Synthesise `text` with a peak of 0.5.

    Equal text and voice give equal samples, regardless of earlier calls. espeak-ng has one state per
    process, so this is not thread-safe. Raises ConfigError without `espeakng-loader` and DataError for
    an unknown voice.
    """
    raw, phones, words, rate = _synthesise(text, voice)
    # resampled to be faster by `size`, spoken slower by `size`: higher formants at equal rate
    sound = _tilted(soxr.resample(raw, rate * voice.size, SAMPLE_RATE), voice.tilt)
    sound = (0.5 / max(np.abs(sound).max(), 1e-6) * sound).astype(np.float32)
    seconds = 1 / (rate * voice.size)
    return Speech(sound, _phones(phones, len(raw), seconds), _words(words, text, len(raw), seconds))


class _Name(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("pointer", ctypes.c_char_p),
        ("text", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _synthesise(
    text: str, voice: Voice
) -> tuple[np.ndarray, list[tuple[str, int]], list[tuple[int, int, int]], int]:
    """Raw samples, phonemes (name, sample), words (position, length, sample), sample rate."""
    chunks: list[np.ndarray] = []
    phones: list[tuple[str, int]] = []
    words: list[tuple[int, int, int]] = []

    @_Callback
    def collect(samples, count, events) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                phones.append((event.id.text.decode("utf-8", "replace"), event.sample))
            if event.type == _WORD:
                words.append((event.text_position - 1, event.length, event.sample))
            index += 1
        return 0

    with _fresh_library() as (library, rate):
        library.espeak_SetSynthCallback(collect)
        if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise DataError(f"espeak-ng: no voice {voice.name!r}; see its voices/!v folder")
        library.espeak_SetParameter(_RATE, round(voice.rate / voice.size), 0)
        library.espeak_SetParameter(_PITCH, round(voice.pitch), 0)
        library.espeak_SetParameter(_RANGE, round(voice.range), 0)
        spoken = text.encode()
        library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8, None, None)
    if not chunks:
        raise DataError(f"espeak-ng: no sound for {text!r}")
    return np.concatenate(chunks), phones, words, rate


def _phones(marks: list[tuple[str, int]], samples: int, seconds: float) -> tuple[Phone, ...]:
    """Events as phones; marks without sound (";") extend the previous phone."""
    named = [("" if name.startswith("_") else name.strip("',%=|_;?"), at) for name, at in marks]
    named = [new for new, old in zip(named, marks, strict=True) if new[0] or "_" in old[0]]
    ends = [at for _, at in named[1:]] + [samples]
    return tuple(
        Phone(name, at * seconds, end * seconds)
        for (name, at), end in zip(named, ends, strict=True)
        if end > at
    )


def _words(
    marks: list[tuple[int, int, int]], text: str, samples: int, seconds: float
) -> tuple[Phone, ...]:
    ends = [at for *_, at in marks[1:]] + [samples]
    return tuple(
        Phone(text[first : first + length], at * seconds, end * seconds)
        for (first, length, at), end in zip(marks, ends, strict=True)
    )


def _tilted(sound: np.ndarray, tilt: float) -> np.ndarray:
    frequencies = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    octaves = np.log2(np.clip(frequencies, 100, 8000) / 1000)
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (tilt * octaves / 20), len(sound))


@contextmanager
def _fresh_library() -> Iterator[tuple[ctypes.CDLL, int]]:
    """espeak-ng in its initial state, and its sample rate.

    The library keeps the state of flutter and noise in static variables, which its termination does
    not reset; loading it again does (1 ms).
    """
    loader = require("espeakng_loader", purpose=_PURPOSE)
    try:
        library = ctypes.CDLL(loader.get_library_path())
    except OSError as error:
        raise ConfigError(f"{_PURPOSE}: espeak-ng cannot be loaded ({error})") from error
    data = loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _STAY_ALIVE)
    ctypes.CDLL(None).srand(1)
    try:
        yield library, rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)
