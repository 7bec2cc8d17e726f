"""Separation of recordings of any length, one track per face, in overlapping chunks.

Each track belongs to a face, so tracks keep their order from chunk to chunk, and chunks are
cross-faded. Sound and video are read chunk by chunk from arrays that may be on disk, and tracks are
yielded piece by piece: memory does not grow with the length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from voicediff.audio import write_wav
from voicediff.audio.wav import PEAK
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.diffusion.guidance import Windows
from voicediff.diffusion.noise import PlacedNoise, SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.inference.shards import Shard
from voicediff.tasks.avss.model import Separated, SpeechSeparation, speaker_seeds
from voicediff.tasks.avss.synchrony import find_lags
from voicediff.video.constants import FPS, HOP, SAMPLE_RATE
from voicediff.video.disk_array import DiskArray

_FADE = 161  # samples of the fade where a person starts or stops taking part


@dataclass
class Scene:
    """A mixture and the S people who speak in it.

    Attributes:
        mixture: (N,) float32 at 16 kHz.
        mouth: of each person (T, 96, 96) uint8 at 25 fps, frame k at samples [640 k, 640 (k + 1)).
        valid: of each person (T,) bool, False where the mouth is not visible.
        face: (S, 224, 224, 3) uint8 RGB.
        present: of each person (T,) bool, False where the person takes no part: the track is silent
            there and the sound stays in the residual. None: all always take part.
        lags: of each person, frames by which the pictures are late; None: synchronous.

    Where the sound is longer than the video, mouths count as not visible.
    """

    mixture: np.ndarray | DiskArray
    mouth: Sequence[np.ndarray | DiskArray]
    valid: Sequence[np.ndarray]
    face: np.ndarray
    present: Sequence[np.ndarray] | None = None
    lags: Sequence[int] | None = None

    @property
    def frames(self) -> int:
        """Frames of video that cover the sound."""
        return max(-(-len(self.mixture) // HOP), 1)

    def sound(self, start: int, stop: int) -> np.ndarray:
        """The samples of frames [start, stop), (n,) float32, zeros after the end."""
        part = np.asarray(self.mixture[start * HOP : stop * HOP], np.float32)
        return np.pad(part, (0, (stop - start) * HOP - len(part)))

    def video(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Mouths (S, n, 96, 96) and validity (S, n) of frames [start, stop)."""
        mouths, visible = [], []
        lags = self.lags or [0] * len(self.mouth)
        for mouth, valid, lag in zip(self.mouth, self.valid, lags, strict=True):
            first, last = max(0, start + lag), max(0, stop + lag)
            missing = min(max(0, -(start + lag)), stop - start)
            missing = (missing, stop - start - missing - len(valid[first:last]))
            mouths.append(np.pad(mouth[first:last], (missing, (0, 0), (0, 0))))
            visible.append(np.pad(valid[first:last], missing))
        return np.stack(mouths), np.stack(visible)

    def valid_frames(self) -> np.ndarray:
        """Where each mouth is visible, (S, T) bool."""
        return np.stack([_fitted(valid, self.frames) for valid in self.valid])

    def gates(self, start: int, stop: int) -> np.ndarray:
        """Factors of the tracks in frames [start, stop), (S, n) float32.

        1 where the person takes part, else 0, with a fade of 10 ms in between.
        """
        if self.present is None:
            return np.ones((len(self.mouth), (stop - start) * HOP), np.float32)
        flags = [_fitted(p, self.frames) for p in self.present]
        near = np.clip(np.arange(start - 1, stop + 1), 0, self.frames - 1)
        wide = np.repeat(np.stack(flags)[:, near], HOP, 1).astype(np.float32)
        return uniform_filter1d(wide, _FADE, axis=1, mode="nearest")[:, HOP:-HOP]


@dataclass
class Piece:
    """Consecutive samples of all tracks.

    Attributes:
        start: the first sample.
        tracks: (S, n) float32, one row per person; residual: (n,), the mixture minus all rows.
    """

    start: int
    tracks: np.ndarray
    residual: np.ndarray


@dataclass
class Confidence:
    """Confidence of each track in [start, end) seconds, (S,) in [0, 1] (see `confidence`).

    nan where a track is silent.
    """

    start: float
    end: float
    values: np.ndarray


@dataclass
class SceneSeparator:
    """Model and sampler, ready to separate scenes.

    Args:
        sampler: None takes the predictor alone.
        seed: of the noise.
        longest: seconds of a chunk at most; `overlap`: seconds that two chunks share.
        share_residual: split the residual among the tracks in proportion to their energy in the
            chunk (Wisdom et al. 2019, Eq. 7), so that the tracks alone sum to the mixture.
        samples: number of posterior samples; the first is the result, the confidence is estimated
            from all of them.
        synchronise: estimate a constant offset of each video (within the reach of
            `SpeechSeparation`'s `synchrony`) and correct it; `lags` holds it in frames.
        progress: called with the seconds done since the last call.
    """

    task: SpeechSeparation
    sampler: Sampler | None
    seed: int = 0
    noise_scale: float | None = None
    guidance: Mapping[str, float] = field(default_factory=dict)
    longest: float = 8.0
    overlap: float = 1.0
    share_residual: bool = False
    samples: int = 1
    synchronise: bool = True
    progress: Callable[[float], None] = field(default=lambda seconds: None)
    confidences: list[Confidence] = field(default_factory=list, init=False)
    lags: tuple[int, ...] = field(default=(), init=False)

    def tracks(self, scene: Scene) -> np.ndarray:
        """All tracks at once, (S, N) float32."""
        return np.concatenate([piece.tracks for piece in self.pieces(scene)], 1)

    def pieces(self, scene: Scene) -> Iterator[Piece]:
        """The tracks in consecutive pieces; together exactly as long as the mixture.

        Fills `confidences` where there are several people or several samples.
        """
        self.confidences.clear()
        self.lags = self._lags(scene)
        scene = replace(scene, lags=self.lags)
        windows = Windows(round(self.longest * FPS), round(self.overlap * FPS))
        held, begin = np.zeros((len(scene.mouth), 0), np.float32), 0
        reached = 0
        for first, last in windows.over(scene.frames):
            chunk = self._chunk(scene, first, last)
            done = first * HOP - begin
            if done:
                yield _piece(scene, begin, held[:, :done])
            held, begin = _joined(held[:, done:], chunk), first * HOP
            self.progress((last - reached) / FPS)
            reached = last
        yield _piece(scene, begin, held[:, : len(scene.mixture) - begin])

    def _chunk(self, scene: Scene, first: int, last: int) -> np.ndarray:
        """(S, n) of frames [first, last)."""
        gates = scene.gates(first, last)
        here = np.flatnonzero(gates.any(1))  # the network is not evaluated for the others
        samples = np.zeros((self.samples, *gates.shape), np.float32)
        if len(here):
            samples[:, here] = self._sampled(scene, first, last, here)
        samples *= gates
        if samples.shape[:2] != (1, 1):
            values = confidence(samples)
            self.confidences.append(Confidence(first / FPS, last / FPS, values))
        if not self.share_residual:
            return samples[0]
        return with_shared_residual(samples[0], scene.sound(first, last), gates)

    def _lags(self, scene: Scene) -> tuple[int, ...]:
        """One per person, estimated over the whole recording."""
        task, step = self.task, round(self.longest * FPS)
        if not (self.synchronise and task.synchrony.max_lag) or task.lips is None:
            return (0,) * len(scene.mouth)
        device = next(task.parameters()).device
        predicted, measured = [], []
        for first in range(0, scene.frames, step):
            last = min(first + step, scene.frames)
            inputs = (scene.sound(first, last), *scene.video(first, last))
            inputs = (torch.from_numpy(x)[None].to(device) for x in inputs)
            each, overall = task.loudness(*inputs, torch.tensor([last - first], device=device))
            predicted.append(each[0].cpu())
            measured.append(overall[0].cpu())
        valid = torch.from_numpy(scene.valid_frames())
        return find_lags(torch.cat(predicted, 1), torch.cat(measured), valid, task.synchrony)

    @torch.inference_mode()
    def _sampled(self, scene: Scene, first: int, last: int, people: np.ndarray) -> np.ndarray:
        """Posterior samples (samples, P, n) of some people's tracks in frames [first, last)."""
        device = next(self.task.parameters()).device
        mixture = torch.from_numpy(scene.sound(first, last))[None].to(device)
        mouth, valid = (
            torch.from_numpy(x[people])[None].to(device) for x in scene.video(first, last)
        )
        face = torch.from_numpy(np.asarray(scene.face)[people])[None].to(device)
        frames = torch.tensor([last - first], device=device)
        place = first * HOP // self.task.stft.hop
        samples = []
        for number in range(self.samples):
            found = self.task.separate(
                mixture, mouth, valid, face, frames, self.sampler,
                SpeakerNoise(item_seed(self.seed, number), place, people.tolist()),
                self.noise_scale, dict(self.guidance), lags=torch.zeros(1, len(people)),
            )  # fmt: skip
            samples.append(found.tracks[0].float().cpu().numpy())
        return np.stack(samples)


def batches_of(
    task: SpeechSeparation, mixtures: ListedMixtures, size: int, shard: Shard = Shard()
) -> Iterator[dict[str, Any]]:
    """The mixtures of a list in batches of at most `size`, on the CPU; those of one job."""
    for first in shard.of(range(0, len(mixtures), size)):
        indices = range(first, min(first + size, len(mixtures)))
        yield task.collate([mixtures.item(i, 0) for i in indices], [0] * len(indices))


def separate_batch(
    task: SpeechSeparation,
    batch: dict[str, Any],
    sampler: Sampler | None,
    seed: int,
    noise_scale: float | None = None,
    guidance: Mapping[str, float] = {},
) -> Separated:
    """Separate a batch on the task's device; a mixture's noise follows `seed` and its name."""
    device = next(task.parameters()).device
    names = ("mixture", "mouth", "valid", "face", "frames")
    inputs = (batch[name].to(device) for name in names)
    seeds = speaker_seeds([item_seed(seed, utt) for utt in batch["utts"]], batch["mouth"].shape[1])
    return task.separate(*inputs, sampler, SeededNoise(seeds), noise_scale, guidance)


class SpeakerNoise:
    """A `Noise` for the S tracks of a chunk: each has its own, indexed by absolute time.

    Overlapping chunks share their noise where they overlap. `start`: the chunk's first frame of
    the spectrum; `people`: the number of each track's person.
    """

    def __init__(self, seed: int, start: int, people: Sequence[int]):
        self.voices = [PlacedNoise(item_seed(seed, "voice", one), [start]) for one in people]

    def __call__(self, like: Tensor) -> Tensor:
        return torch.cat([noise(x[None]) for noise, x in zip(self.voices, like, strict=True)])


def confidence(samples: np.ndarray) -> np.ndarray:
    """Confidence of S tracks from n posterior samples (n, S, N): (S,) in [0, 1]; nan for silence.

    The mean correlation between the samples of a track, minus the mean correlation with the
    samples of the most similar other track: a track that fits two faces equally well has
    confidence 0. With one sample the first term is 1; with one track the second is 0; with one
    sample of one track the result is nan.
    """
    samples = samples.astype(np.float64)
    count, voices = samples.shape[:2]
    energy = np.square(samples).sum((0, 2))
    energy[energy == 0] = np.nan
    together = samples.sum(0)
    products = together @ together.T
    own = np.ones(voices) if voices > 1 else np.full(1, np.nan)
    if count > 1:
        # |sum_i x_i|^2 = sum_i |x_i|^2 + sum_{i != j} <x_i, x_j>
        own = (products.diagonal() - energy) / ((count - 1) * energy)
    alike = products / (count * np.sqrt(np.outer(energy, energy)))
    np.fill_diagonal(alike, 0)
    others = np.nan_to_num(alike).clip(min=0).max(1)
    return np.clip(own - others, 0, 1) + 0 * energy


def with_shared_residual(
    voices: np.ndarray, mixture: np.ndarray, gates: np.ndarray | None = None
) -> np.ndarray:
    """voices (S, N) plus the residual to the mixture (N,), split by energy: they sum to it.

    With `gates` (S, N) only people who take part get a share; where nobody does, it is left out.
    """
    energy = np.square(voices, dtype=np.float64).sum(1, keepdims=True)
    weight = energy if energy.sum() > 0 else np.ones_like(energy)
    if gates is not None:
        weight = (weight + 1e-9 * weight.max()) * gates  # who alone is there gets all
    weight = weight / np.maximum(weight.sum(0), 1e-30)
    return voices + (weight * (mixture - voices.sum(0))).astype(np.float32)


def write_tracks(
    paths: Sequence[Path],
    pieces: Iterable[Piece],
    residual: Path | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> None:
    """Write each track as a WAV file, and the residual to the file `residual`.

    Where one would clip all are scaled down alike, so that they still sum to the mixture. Memory
    does not grow with the length.
    """
    targets = [*paths, *([residual] if residual else [])]
    stores = [tempfile.TemporaryFile() for _ in targets]
    peak = 0.0
    try:
        for piece in pieces:
            rows = [*piece.tracks, piece.residual]
            for store, row in zip(stores, rows, strict=False):
                store.write(np.ascontiguousarray(row, np.float32).tobytes())
                peak = max(peak, float(np.abs(row).max(initial=0.0)))
        gain = np.float32(min(1.0, PEAK / max(peak, PEAK)))
        for target, store in zip(targets, stores, strict=True):
            store.seek(0)
            blocks = iter(lambda store=store: store.read(1 << 20), b"")
            write_wav(target, (gain * np.frombuffer(b, np.float32) for b in blocks), sample_rate)
    finally:
        for store in stores:
            store.close()


def _fitted(flags: np.ndarray, frames: int) -> np.ndarray:
    """Flags of so many frames: cut, or False at the end."""
    return np.pad(flags[:frames], (0, max(0, frames - len(flags))))


def _joined(held: np.ndarray, chunk: np.ndarray) -> np.ndarray:
    """A chunk (S, n) whose first samples are cross-faded with those held of the previous one.

    The fade takes the middle half of the overlap, because estimates are worst at a chunk's ends.
    """
    shared = held.shape[1]
    if not shared:
        return chunk
    weight = np.clip(2 * (np.arange(shared) + 0.5) / shared - 0.5, 0, 1).astype(np.float32)
    faded = held * (1 - weight) + chunk[:, :shared] * weight
    return np.concatenate((faded, chunk[:, shared:]), 1)


def _piece(scene: Scene, start: int, voices: np.ndarray) -> Piece:
    mixture = np.asarray(scene.mixture[start : start + voices.shape[1]], np.float32)
    return Piece(start, voices, mixture - voices.sum(0))
