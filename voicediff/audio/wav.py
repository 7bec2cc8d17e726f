"""Reading and writing audio files."""

from __future__ import annotations

import struct
import tempfile
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch

from voicediff.audio.resampling import resampled
from voicediff.errors import DataError
from voicediff.files import whole_file

PEAK = 0.999  # of full scale; louder waveforms are scaled to this peak


def read_wav(
    path: str | Path,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read an audio file as float32 mono (N,) and its sample rate; channels are averaged.

    Args:
        sample_rate: resample to this rate in Hz; None keeps the rate of the file.
        start, end: the part to read in seconds; `end` None reads to the end.

    Raises DataError for a missing, empty, truncated or unreadable file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such sound file")
    require_complete(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            first = min(round(start * rate), file.frames)
            last = file.frames if end is None else min(round(end * rate), file.frames)
            file.seek(first)
            sound = file.read(max(last - first, 0), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(error).rpartition(": ")[2]
        raise DataError(f"{path}: not a readable sound file: {reason}") from error
    if len(sound) == 0:
        part = "" if end is None else f" between {start:.3f} and {end:.3f} s"
        raise DataError(f"{path}: contains no sound{part}")
    mono = sound.mean(1)
    if not np.isfinite(mono).all():
        raise DataError(f"{path}: contains samples that are not numbers; export it again")
    if sample_rate is not None and sample_rate != rate:
        mono, rate = resampled(mono, rate, sample_rate), sample_rate
    return mono, rate


def write_wav(
    path: str | Path, wav: np.ndarray | torch.Tensor | Iterable[np.ndarray], sample_rate: int
) -> None:
    """Write a mono waveform (N,), or its consecutive pieces, as 16-bit WAV.

    A waveform that would clip is scaled as a whole. Memory does not grow with the number of pieces.
    Raises DataError on a full disk or for samples that are not finite; `path` is replaced only
    after a complete write.
    """
    if isinstance(wav, torch.Tensor):
        wav = wav.detach().cpu().numpy()
    pieces = [wav] if isinstance(wav, np.ndarray) else wav
    path = Path(path)
    try:
        with tempfile.TemporaryFile() as store:
            peak = _store(pieces, store, path)
            gain = PEAK / peak if peak > PEAK else 1.0
            with whole_file(path) as new, open(new, "wb") as file:
                _encode(_stored(store), gain, sample_rate, file)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def require_complete(path: Path) -> None:
    """Raise DataError if the header of a WAV file declares more data than the file has.

    libsndfile reads truncated files without an error. Sizes of 0 and 2^32 - 1 are accepted:
    programs that write to a pipe use them because the size is unknown.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        while len(chunk := file.read(8)) == 8:
            name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                break
            file.seek(size + size % 2, 1)
        else:
            raise DataError(f"{path}: truncated: no samples after the header")
        available = path.stat().st_size - file.tell()
    if size not in (0, 0xFFFFFFFF) and available < size:
        raise DataError(
            f"{path}: truncated: the header declares {size} bytes of audio, "
            f"the file has {available}; copy or export the file again"
        )


def _store(pieces: Iterable[np.ndarray], store: BinaryIO, path: Path) -> float:
    """Write float32 pieces to `store`; returns the largest magnitude."""
    peak = 0.0
    for piece in pieces:
        piece = np.asarray(piece, np.float32)
        if piece.ndim != 1:
            raise ValueError(f"sound of shape {piece.shape}, expected (N,)")
        if not np.isfinite(piece).all():
            raise DataError(f"{path}: not written: the sound has samples that are not numbers")
        peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        store.write(piece.tobytes())
    store.seek(0)
    return peak


def _stored(store: BinaryIO, block: int = 1 << 20) -> Iterator[np.ndarray]:
    while data := store.read(4 * block):
        yield np.frombuffer(data, np.float32)


def _encode(pieces: Iterator[np.ndarray], gain: float, sample_rate: int, file: BinaryIO) -> None:
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        for piece in pieces:
            out.writeframes(np.round(piece * (gain * 32767)).astype("<i2").tobytes())
