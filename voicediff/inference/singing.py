"""Songs of any length from a score, made in windows.

The song is cut at rests. A stretch of singing longer than one window is made from overlapping
windows, which share the noise where they overlap (`PlacedNoise`) and are cross-faded. Sound is
yielded piece by piece: memory does not grow with the song.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from voicediff.data.singing.dataset import AlignedScore, align_score, collate_scores
from voicediff.diffusion.noise import PlacedNoise
from voicediff.diffusion.samplers import Sampler
from voicediff.inference.editing import Recording
from voicediff.music.score import Score
from voicediff.tasks.svs.model import SingingSynthesis
from voicediff.vocoders import Vocoder


@dataclass
class Stretch:
    """Uninterrupted singing: mel (F, T) and F0 (T,) in Hz from frame `start` of the song on."""

    start: int
    mel: np.ndarray
    f0: np.ndarray

    @property
    def end(self) -> int:
        return self.start + self.mel.shape[1]


@dataclass
class SongRenderer:
    """Model, sampler and vocoder that turn scores into sound.

    Args:
        sampler: None sings the encoder's mean mu.
        seed: the song's noise.
        noise_scale, guidance, shallow: of `SingingSynthesis.generate`; None takes the task's own.
        recording: of the same song, of which a part is kept.
        longest: seconds of a window at most; `overlap`: seconds two windows share.
        min_rest: seconds of rest at which singing is interrupted.
        progress: called with the seconds of song done since the last call.
        on_stretch: called with each stretch before its sound is made.
    """

    task: SingingSynthesis
    sampler: Sampler | None
    vocoder: Vocoder
    seed: int = 0
    noise_scale: float | None = None
    guidance: Mapping[str, float] | None = None
    shallow: float | None = None
    recording: Recording | None = None
    longest: float = 16.0
    overlap: float = 2.0
    min_rest: float = 0.8
    progress: Callable[[float], None] = field(default=lambda seconds: None)
    on_stretch: Callable[[Stretch], None] = field(default=lambda stretch: None)

    def wav(self, score: Score) -> Iterator[np.ndarray]:
        """The song's samples in consecutive pieces; together exactly the score's duration."""
        pieces = self._pieces(score)
        return pieces if self.recording is None else self.recording.restored(pieces)

    def stretches(self, score: Score) -> Iterator[Stretch]:
        """Mels of the uninterrupted stretches, in time order."""
        rate = self.task.mel.frame_rate
        frames = max(round(score.duration * rate), 1)
        aligned = align_score(score, self.task.tokenizer, frames, rate, self.task.timing)
        for start, end in _sung(score, frames, rate, self.min_rest):
            yield self._stretch(aligned, start, end)

    def _pieces(self, score: Score) -> Iterator[np.ndarray]:
        spec = self.task.mel
        total = round(score.duration * spec.sample_rate)
        done = 0
        for stretch in self.stretches(score):
            self.on_stretch(stretch)
            yield np.zeros(stretch.start * spec.hop - done, np.float32)
            sound = self._sound(stretch)[: total - stretch.start * spec.hop]
            for first in range(0, len(sound), spec.sample_rate):  # bounds the reader's memory
                yield sound[first : first + spec.sample_rate]
            done = stretch.start * spec.hop + len(sound)
        yield np.zeros(total - done, np.float32)

    def _stretch(self, aligned: AlignedScore, start: int, end: int) -> Stretch:
        rate = self.task.mel.frame_rate
        overlap = round(self.overlap * rate)
        windows = _windows(start, end, round(self.longest * rate), overlap)
        result: Stretch | None = None
        for first, last in windows:
            mel, f0 = self._window(aligned.crop(first, last), first)
            piece = Stretch(first, mel, f0)
            result = piece if result is None else _joined(result, piece)
            self.progress((last - first) / rate)
        return result

    def _window(self, aligned: AlignedScore, first: int) -> tuple[np.ndarray, np.ndarray]:
        device = next(self.task.parameters()).device
        inputs, kept = collate_scores([aligned]).to(device), None
        if self.recording is not None:
            kept = self.recording.window(first, inputs.mask.shape[1]).to(device)
        song = self.task.generate(
            inputs,
            self.sampler,
            PlacedNoise(self.seed, [first]),
            self.noise_scale,
            self.guidance,
            self.shallow,
            kept,
        )
        frames = aligned.frames
        return song.mel[0, :, :frames].cpu().numpy(), song.f0[0, :frames].cpu().numpy()

    @torch.inference_mode()
    def _sound(self, stretch: Stretch) -> np.ndarray:
        device = next(self.task.parameters()).device
        mel = torch.from_numpy(stretch.mel)[None].to(device)
        f0 = torch.from_numpy(stretch.f0)[None].to(device)
        wav = self.vocoder(mel, f0, PlacedNoise(self.seed, [stretch.start * self.task.mel.hop]))
        return _faded(wav[0].cpu().numpy(), round(0.01 * self.task.mel.sample_rate))


def _sung(score: Score, frames: int, rate: float, min_rest: float) -> list[tuple[int, int]]:
    """Frames [start, end) of the stretches between rests."""
    spans = score.lines(min_rest=min_rest, longest=float("inf"))
    return [(int(start * rate), min(round(end * rate), frames)) for start, end in spans]


def _windows(start: int, end: int, longest: int, overlap: int) -> list[tuple[int, int]]:
    """Windows of at most `longest` frames that cover [start, end), sharing `overlap` frames."""
    if end - start <= longest:
        return [(start, end)]
    count = -(-(end - start - overlap) // (longest - overlap))
    length = -(-(end - start - overlap) // count) + overlap
    firsts = [min(start + i * (length - overlap), end - length) for i in range(count)]
    return [(first, first + length) for first in firsts]


def _joined(left: Stretch, right: Stretch) -> Stretch:
    """Two overlapping stretches as one, cross-faded over the middle half of what they share."""
    shared = left.end - right.start
    position = (np.arange(shared) + 0.5) / shared
    weight = np.clip(2 * position - 0.5, 0, 1).astype(np.float32)
    body = left.mel[:, -shared:] * (1 - weight) + right.mel[:, :shared] * weight
    f0 = np.where(weight < 0.5, left.f0[-shared:], right.f0[:shared])
    return Stretch(
        left.start,
        np.concatenate((left.mel[:, :-shared], body, right.mel[:, shared:]), 1),
        np.concatenate((left.f0[:-shared], f0, right.f0[shared:])),
    )


def _faded(wav: np.ndarray, samples: int) -> np.ndarray:
    """Short ramps at both ends, where a stretch meets silence; changes `wav` (N,) itself."""
    samples = min(samples, len(wav) // 2)
    ramp = np.linspace(0, 1, samples, dtype=np.float32)
    wav[:samples] *= ramp
    wav[len(wav) - samples :] *= ramp[::-1]
    return wav
