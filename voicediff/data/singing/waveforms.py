"""Dataset of vocoders: random segments of waveforms with mel and F0, with augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from voicediff.audio import MelSpec, log_mel, read_wav
from voicediff.audio.resampling import stretched
from voicediff.data.singing.dataset import Memoized, read_index
from voicediff.errors import DataError

MARGIN = 3  # extra frames on each side, so that the mel of a segment equals that of the recording


@dataclass
class Variation:
    """Augmentation of training segments; the defaults change nothing.

    crop: length of a segment in seconds.
    speed: range of the playback speed factor. Pitch and formants scale together, which extends the
        range of one singer to children and basses.
    gain: maximum change of level in dB, up or down.
    noise: range of the level in dBFS of white noise, which is added to half of the segments.
    mels: folder with a mel `UTT.npy` (F, T) for each utterance to use instead of the mel of the
        waveform, e.g. that of an acoustic model (see `voicediff mels`); other utterances are left
        out. Speed and noise are then not applied.
    """

    crop: float = 0.75
    speed: tuple[float, float] = (1.0, 1.0)
    gain: float = 0.0
    noise: tuple[float, float] | None = None
    mels: str | None = None


class SoundDataset(Dataset):
    """Random segments of the utterances of a feature folder (stage 2).

    Args:
        folder: e.g. dump/train; its index.json names the recordings.
        spec: mel settings.
        variation: augmentation.
    """

    def __init__(self, folder: Path, spec: MelSpec, variation: Variation):
        self.folder, self.spec, self.variation = Path(folder), spec, variation
        self.entries = read_index(self.folder)
        if variation.mels is not None:
            mels = Path(variation.mels)
            self.entries = [e for e in self.entries if (mels / f"{e['utt']}.npy").is_file()]
            if not self.entries:
                raise DataError(
                    f"{mels}: no mel of an utterance of {folder}; run `voicediff mels` first"
                )
        self.lengths = [entry["frames"] for entry in self.entries]
        self.frames = max(round(variation.crop * spec.frame_rate), 8)
        self.sound = Memoized(self._sound)
        self.pitch = Memoized(self._pitch)

    def __len__(self) -> int:
        return len(self.entries)

    def item(self, index: int, seed: int) -> dict:
        """utt, wav (T * hop,), mel (F, T) and f0 (T,) of a segment.

        `seed` determines the position and the augmentation.
        """
        rng = np.random.default_rng(seed)
        gain = np.float32(10 ** (rng.uniform(-1, 1) * self.variation.gain / 20))
        if self.variation.mels is None:
            wav, mel, f0 = self._varied(index, rng, gain)
        else:
            wav, mel, f0 = self._modelled(index, rng, gain)
        return {"utt": self.entries[index]["utt"], "wav": wav, "mel": mel, "f0": f0}

    def _varied(self, index: int, rng: np.random.Generator, gain: float):
        """A segment at a random speed, with the mel of the result."""
        low, high = self.variation.speed
        speed = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        taken = self.frames * speed  # frames of the recording
        first = rng.uniform() * max(self.lengths[index] - taken, 0.0)
        wav = gain * self._resampled(index, first - MARGIN * speed, speed, self.frames + 2 * MARGIN)
        if self.variation.noise is not None and rng.random() < 0.5:
            level = 10 ** (rng.uniform(*self.variation.noise) / 20)
            wav = wav + np.float32(level) * rng.standard_normal(len(wav), np.float32)
        mel = log_mel(torch.from_numpy(wav), self.spec).numpy()[:, MARGIN:-MARGIN]
        wav = wav[MARGIN * self.spec.hop : -MARGIN * self.spec.hop]
        f0 = _read_at(self.pitch(index), first + (np.arange(self.frames) + 0.5) * speed - 0.5)
        return wav, mel, f0 * np.float32(speed)

    def _modelled(self, index: int, rng: np.random.Generator, gain: float):
        """A segment of the recording with the mel of an acoustic model."""
        path = Path(self.variation.mels) / f"{self.entries[index]['utt']}.npy"
        mel = np.load(path).astype(np.float32)
        frames = min(self.lengths[index], mel.shape[1])
        first = int(rng.integers(max(frames - self.frames, 0) + 1))
        wav = gain * self._resampled(index, first, 1.0, self.frames)
        mel = _padded(mel[:, first : first + self.frames], self.frames, np.log(self.spec.floor))
        f0 = _padded(self.pitch(index)[first : first + self.frames], self.frames, 0.0)
        return wav, mel + np.log(gain), f0

    def _resampled(self, index: int, first: float, speed: float, frames: int) -> np.ndarray:
        """Waveform (frames * hop,) from frame `first` of the recording; zeros outside of it."""
        sound, rate = self.sound(index)
        step = rate / self.spec.sample_rate * self.spec.hop  # samples of the recording a frame
        start, count = round(first * step), round(frames * speed * step)
        left, right = max(-start, 0), max(start + count - len(sound), 0)
        part = sound[max(start, 0) : max(start + count, 0)].astype(np.float32) / 32767
        part = np.pad(part, (left, right))[:count]
        return stretched(part, frames * self.spec.hop)

    def _sound(self, index: int) -> tuple[np.ndarray, int]:
        """The utterance as int16 at its original rate: speeds below 1 need the higher bands."""
        entry = self.entries[index]
        if "wav" not in entry:
            raise DataError(
                f"{self.folder}/index.json: does not name the recordings; "
                "run stage 2 (features) again"
            )
        wav, rate = read_wav(entry["wav"], None, entry["start"], entry["end"])
        return np.round(wav.clip(-1, 1) * 32767).astype(np.int16), rate

    def _pitch(self, index: int) -> np.ndarray:
        path = self.folder / self.entries[index]["path"]
        try:
            with np.load(path) as arrays:
                return arrays["f0"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: not a feature file ({error}); run stage 2 again") from error


def _read_at(f0: np.ndarray, places: np.ndarray) -> np.ndarray:
    """F0 (T,) interpolated at `places`; unvoiced where the nearest frame is, and outside."""
    low = np.clip(np.floor(places).astype(int), 0, len(f0) - 1)
    high = np.minimum(low + 1, len(f0) - 1)
    part = np.clip(places - low, 0, 1)
    near = np.where(part < 0.5, f0[low], f0[high])
    both = (f0[low] > 0) & (f0[high] > 0)
    value = np.where(both, (1 - part) * f0[low] + part * f0[high], near)
    outside = (places < -0.5) | (places > len(f0) - 0.5)
    return np.where(outside, 0.0, value).astype(np.float32)


def _padded(x: np.ndarray, frames: int, value: float) -> np.ndarray:
    widths = [(0, 0)] * (x.ndim - 1) + [(0, frames - x.shape[-1])]
    return np.pad(x, widths, constant_values=value).astype(np.float32)
