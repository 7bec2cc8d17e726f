"""Sounds that save themselves and show themselves in a notebook."""

from __future__ import annotations

import base64
import html
import importlib.util
import io
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicediff.audio import write_wav
from voicediff.audio.wav import PEAK
from voicediff.music.score import Note


@dataclass
class Sound:
    """A mono sound.

    Attributes:
        audio: (N,) float32; values beyond [-1, 1] are possible and are scaled down when saved.
        sample_rate: Hz.
    """

    audio: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.sample_rate

    def save(self, path: str | Path) -> Path:
        """Write a 16-bit WAV file, scaled down as a whole where it would clip.

        Returns the path. Raises DataError where the file cannot be written.
        """
        write_wav(path, self.audio, self.sample_rate)
        return Path(path)

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(repr(self))}{player(self.audio, self.sample_rate)}</div>"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.seconds:.2f} s, {self.sample_rate} Hz)"


@dataclass(repr=False)
class Song(Sound):
    """A song sung from a score.

    Attributes:
        mel: (n_mels, T) float32, natural logarithm, what the acoustic model generated; the floor of
            the mel description where nothing is sung.
        f0: (T,) float32 in Hz, what the vocoder was given; 0 where nothing is sung or unvoiced.
        frame_rate: mel frames per second.
        notes: of the score, after transposition and change of tempo.
        warnings: e.g. notes outside the range of the training data.
    """

    mel: np.ndarray
    f0: np.ndarray
    frame_rate: float
    notes: tuple[Note, ...]
    warnings: tuple[str, ...] = ()

    def picture(self) -> bytes:
        """Mel-spectrogram and F0 over time as a PNG file.

        Raises ModuleNotFoundError without matplotlib (the extra `train` installs it).
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 4), layout="constrained")
        upper = figure.add_subplot(2, 1, 1)
        lower = figure.add_subplot(2, 1, 2, sharex=upper)
        upper.tick_params(labelbottom=False)
        end = self.mel.shape[1] / self.frame_rate
        upper.imshow(self.mel, origin="lower", aspect="auto", extent=(0, end, 0, len(self.mel)))
        upper.set_ylabel("mel bin")
        times = np.arange(len(self.f0)) / self.frame_rate
        lower.plot(times, np.where(self.f0 > 0, self.f0, np.nan))
        lower.set(ylabel="F0 (Hz)", xlabel="time (s)", xlim=(0, end))
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=80)
        return file.getvalue()

    def _repr_html_(self) -> str:
        lines = "".join(f"<br>{html.escape(line)}" for line in self.warnings)
        image = ""
        if importlib.util.find_spec("matplotlib") is not None:
            data = base64.b64encode(self.picture()).decode()
            image = f'<br><img alt="mel-spectrogram and F0" src="data:image/png;base64,{data}">'
        sound = player(self.audio, self.sample_rate)
        return f"<div>{html.escape(repr(self))}{lines}<br>{sound}{image}</div>"

    def __repr__(self) -> str:
        return f"Song({self.seconds:.2f} s, {self.sample_rate} Hz, {len(self.notes)} notes)"


def player(audio: np.ndarray, sample_rate: int) -> str:
    """An HTML audio player that holds the sound (N,) as a 16-bit WAV file.

    >>> player(np.zeros(2, np.float32), 8000)[:60]
    '<audio controls src="data:audio/wav;base64,UklGRigAAABXQVZFZ'
    """
    peak = max(float(np.abs(audio).max(initial=0.0)), PEAK)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(np.round(audio * (PEAK / peak * 32767)).astype("<i2").tobytes())
    data = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
