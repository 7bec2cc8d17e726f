"""Dataset of singing voice synthesis: mel, F0 and aligned score, full lines or random crops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from voicediff.errors import DataError
from voicediff.music.score import Score
from voicediff.music.timing import Alignment, Timing, align
from voicediff.text import Tokenizer

GLIDE = 0.08  # seconds of portamento from note to note
MULTIPLE = 8  # frames: two downsamplings of a 2 x 2 unshuffled mel
PITCHES = 128  # MIDI numbers; 0 is a rest
PLACES = 12  # features of the position of a frame in its phone and note


@dataclass
class AlignedScore:
    """A score in frames, as arrays: per phone (L,) and per frame (T, ...)."""

    tokens: np.ndarray
    pitches: np.ndarray
    slurs: np.ndarray
    durations: np.ndarray
    melody: np.ndarray  # (T,)
    places: np.ndarray  # (T, PLACES)

    @property
    def frames(self) -> int:
        return len(self.melody)

    def crop(self, start: int, stop: int) -> AlignedScore:
        """Frames [start, stop) and their phones."""
        ends = np.cumsum(self.durations)
        begins = ends - self.durations
        durations = np.minimum(ends, stop) - np.maximum(begins, start)
        inside = durations > 0
        phones = (self.tokens, self.pitches, self.slurs)
        return AlignedScore(
            *(array[inside] for array in phones),
            durations[inside],
            self.melody[start:stop],
            self.places[start:stop],
        )


@dataclass
class ScoreInputs:
    """A padded batch of scores, aligned to frames.

    tokens, pitches, slurs: (B, L) integers per phone; durations: (B, L) frames; lengths: (B,)
    melody: (B, T) the written pitch of each frame in MIDI numbers, rests filled, steps smoothed
    places: (B, T, PLACES) position of the frame in its phone and note
    mask: (B, T) bool, True where the item has frames
    """

    tokens: Tensor
    pitches: Tensor
    slurs: Tensor
    durations: Tensor
    lengths: Tensor
    melody: Tensor
    places: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> ScoreInputs:
        return ScoreInputs(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def align_score(
    score: Score, tokenizer: Tokenizer, frames: int, frame_rate: float, timing: Timing
) -> AlignedScore:
    """Align the phones of a score to `frames` frames and compute the frame-level inputs."""
    phones = align(score, tokenizer, frames, frame_rate, timing)
    durations = np.asarray(phones.durations)
    return AlignedScore(
        tokens=np.asarray(phones.tokens),
        pitches=np.asarray(phones.pitches),
        slurs=np.asarray(phones.slurs).astype(np.int64),
        durations=durations,
        melody=_melody(score, frames, frame_rate),
        places=_places(phones, durations),
    )


def _melody(score: Score, frames: int, frame_rate: float) -> np.ndarray:
    """The written pitch (T,) in MIDI numbers: rests take the nearest note, steps become glides."""
    centres = (np.arange(frames) + 0.5) / frame_rate
    if not score.notes:
        return np.full(frames, 60.0, np.float32)
    starts = np.array([note.start for note in score.notes])
    ends = np.array([note.end for note in score.notes])
    pitches = np.array([note.pitch for note in score.notes], float)
    # each rest is divided in the middle between its neighbours
    borders = (ends[:-1] + starts[1:]) / 2
    written = pitches[np.searchsorted(borders, centres)]
    reach = max(math.ceil(GLIDE * frame_rate / 2), 1)
    kernel = np.hanning(2 * reach + 3)
    padded = np.pad(written, reach + 1, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), "valid").astype(np.float32)


def _places(phones: Alignment, durations: np.ndarray) -> np.ndarray:
    """Distances (T, PLACES) to the ends of the frame's phone and note, on three time scales."""
    ends = np.cumsum(durations)
    phone = np.repeat(np.arange(len(durations)), durations)
    note = np.asarray(phones.notes)
    changes = np.flatnonzero(np.diff(note, prepend=note[:1] - 1))
    group = np.searchsorted(changes, np.arange(len(note)), side="right") - 1  # note of each phone
    note_start = (ends - durations)[changes]
    note_end = np.append(note_start[1:], ends[-1:])
    t = np.arange(ends[-1] if len(ends) else 0)
    distances = (
        t - (ends - durations)[phone],
        ends[phone] - t,
        t - note_start[group[phone]],
        note_end[group[phone]] - t,
    )
    scales = (3.0, 12.0, 40.0)
    columns = [np.exp(-distance / scale) for distance in distances for scale in scales]
    return np.stack(columns, -1).astype(np.float32)


class SingingDataset(Dataset):
    """Utterances of a feature folder (stage 2): `index.json` and one npz (mel, f0) per utterance.

    Args:
        folder: e.g. dump/train.
        tokenizer, timing: for the alignment of scores.
        frame_rate: mel frames per second.
        crop: seconds of a random crop; None for full lines.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        timing: Timing,
        frame_rate: float,
        crop: float | None = None,
    ):
        self.folder, self.tokenizer, self.timing = Path(folder), tokenizer, timing
        self.frame_rate = frame_rate
        self.crop = None if crop is None else round(crop * frame_rate / MULTIPLE) * MULTIPLE
        self.entries = read_index(self.folder)
        self.lengths = [entry["frames"] for entry in self.entries]
        self.aligned = Memoized(self._aligned)

    def __len__(self) -> int:
        return len(self.entries)

    def item(self, index: int, seed: int) -> dict:
        """Arrays of one utterance; `seed` determines the position of the crop."""
        score, mel, f0 = self.aligned(index)
        if self.crop is not None and self.crop < score.frames:
            start = int(np.random.default_rng(seed).integers(score.frames - self.crop + 1))
            stop = start + self.crop
            score, mel, f0 = score.crop(start, stop), mel[:, start:stop], f0[start:stop]
        return {"utt": self.entries[index]["utt"], "score": score, "mel": mel, "f0": f0}

    def _aligned(self, index: int) -> tuple[AlignedScore, np.ndarray, np.ndarray]:
        entry = self.entries[index]
        path = self.folder / entry["path"]
        try:
            with np.load(path) as arrays:
                mel, f0 = arrays["mel"].astype(np.float32), arrays["f0"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: not a feature file ({error}); run stage 2 again") from error
        score = Score.from_dict(entry["score"])
        frames = mel.shape[1]
        aligned = align_score(score, self.tokenizer, frames, self.frame_rate, self.timing)
        return aligned, mel, f0


class Memoized:
    """A cached function of an index.

    Unlike a method with `functools.cache` it can be pickled, without the cached values: spawned
    workers receive it with their dataset.
    """

    def __init__(self, function: Callable[[int], Any]):
        self.function, self.values = function, {}

    def __call__(self, index: int) -> Any:
        if index not in self.values:
            self.values[index] = self.function(index)
        return self.values[index]

    def __reduce__(self) -> tuple[type, tuple[Callable[[int], Any]]]:
        return type(self), (self.function,)


def read_index(folder: Path) -> list[dict]:
    """The entries of a feature folder's index.json."""
    path = Path(folder) / "index.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))["utterances"]
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; run stage 2 (features) first") from error
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); run stage 2 again") from error


def collate_scores(scores: list[AlignedScore]) -> ScoreInputs:
    """Pad aligned scores to a batch; T becomes a multiple of MULTIPLE."""
    frames = torch.tensor([score.frames for score in scores])
    size = -(-int(frames.max()) // MULTIPLE) * MULTIPLE
    phones = {
        name: pad_sequence([torch.from_numpy(getattr(s, name)).long() for s in scores], True)
        for name in ("tokens", "pitches", "slurs", "durations")
    }
    return ScoreInputs(
        **phones,
        lengths=torch.tensor([len(score.tokens) for score in scores]),
        melody=pad_frames([torch.from_numpy(s.melody) for s in scores], size),
        places=pad_frames([torch.from_numpy(s.places).mT for s in scores], size).mT.contiguous(),
        mask=torch.arange(size) < frames[:, None],
    )


def pad_frames(arrays: list[Tensor], size: int) -> Tensor:
    """Stack (..., T) tensors, zero-padded to `size` frames."""
    return torch.stack([torch.nn.functional.pad(x, (0, size - x.shape[-1])) for x in arrays])
