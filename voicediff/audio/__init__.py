"""Audio files, mel spectrograms, the compressed STFT, fundamental frequency."""

from voicediff.audio.f0 import f0, f0_and_periodicity
from voicediff.audio.mel import MelSpec, log_mel, mel_filters
from voicediff.audio.stft import STFT
from voicediff.audio.wav import read_wav, write_wav

__all__ = [
    "STFT",
    "MelSpec",
    "f0",
    "f0_and_periodicity",
    "log_mel",
    "mel_filters",
    "read_wav",
    "write_wav",
]
