"""Encoding of sounds as `data:` addresses inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import soundfile

from voicediff.errors import DataError

#: by falling fidelity and size: lossless, then about 45 kbit/s at 22.05 kHz
CODECS = ("flac", "mp3", "ogg")
_SUBTYPES = {"flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}
_BLOCK = 1 << 16  # samples at once: libsndfile's Vorbis encoder fails with long blocks


@dataclass(frozen=True)
class Encoded:
    """The content of a file and its media type."""

    data: bytes
    media: str

    @property
    def uri(self) -> str:
        """`data:` address with the content."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode()}"


def codecs() -> list[str]:
    """Codecs that this machine can write: `flac`, then one lossy codec.

    MP3 plays in every browser, Vorbis in nearly every one; Vorbis is used with libsndfile < 1.1.
    """
    there = [c for c in CODECS if soundfile.check_format(c.upper(), _SUBTYPES[c])]
    return there[: 2 if "flac" in there else 1]


def encode(wav: np.ndarray, sample_rate: int, codec: str) -> Encoded:
    """Mono sound (N,) as a file of the given codec; scaled down if it exceeds full scale.

    Raises DataError if the codec cannot hold the sound (MP3 has no rates above 48 kHz).
    """
    wav = np.asarray(wav, np.float32)
    wav = wav / max(float(np.abs(wav).max(initial=0.0)), 1.0)
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(
            file, "w", sample_rate, 1, _SUBTYPES[codec], format=codec.upper()
        ) as out:
            for start in range(0, len(wav), _BLOCK):
                out.write(wav[start : start + _BLOCK])
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"page: sound at {sample_rate} Hz as {codec}: {error}") from error
    media = {"flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}[codec]
    return Encoded(file.getvalue(), media)
