"""Reference F0 of recordings for scoring, independent of the tracker that measures the renditions.

The tracker (`voicediff.audio.f0`) decides which frames are voiced, in recordings and renditions
alike. An octave error of the tracker in a recording would count against every rendition. The F0
values of recordings therefore come from the generator of a synthetic corpus, or from probabilistic
YIN limited to the range of each note.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from voicediff.audio import MelSpec
from voicediff.errors import DataError
from voicediff.files import replacing
from voicediff.metrics.base import Item
from voicediff.music.score import Score
from voicediff.optional import require

MARGIN = 4.0  # semitones around a note and its neighbours: covers portamento and vibrato
APART = 0.1  # seconds of rest after which there is no portamento from the previous note
WINDOW = 0.04  # seconds at least, and four periods; a longer window smears portamento
RESOLUTION = 0.05  # semitones between the states of pyin


def pyin_f0(wav: np.ndarray, spec: MelSpec, score: Score) -> np.ndarray:
    """F0 in Hz at every frame, (T,) float32 with T = N // hop, also in unvoiced frames.

    Probabilistic YIN (Mauch & Dixon 2014) by librosa, note by note in the range of `note_ranges`:
    the range of a whole line would admit octave errors. Raises ConfigError without librosa.
    """
    librosa = require("librosa", purpose="reference F0 by pyin (--reference-f0 tracker: without)")
    lowest = min(low for low, _ in note_ranges(score))
    size = 2 ** int(np.ceil(np.log2(max(WINDOW, 4 / lowest) * spec.sample_rate)))
    before = size // 2 - spec.hop // 2  # frame i is centred on sample (i + 1/2) hop
    padded = np.pad(np.asarray(wav, np.float32), (before, size))
    found = np.zeros(len(wav) // spec.hop, np.float32)
    ranges = zip(_frames_of_notes(score, spec, len(found)), note_ranges(score), strict=True)
    for (first, last), (low, high) in ranges:
        if last > first:
            found[first:last] = librosa.pyin(
                padded[first * spec.hop : (last - 1) * spec.hop + size],
                fmin=low,
                fmax=min(high, 0.45 * spec.sample_rate),
                sr=spec.sample_rate,
                frame_length=size,
                hop_length=spec.hop,
                resolution=RESOLUTION,
                center=False,
                fill_na=None,
            )[0]
    return found


def note_ranges(score: Score) -> list[tuple[float, float]]:
    """Lowest and highest F0 in Hz of each note, including portamento from and to its neighbours."""
    ranges = []
    for number, note in enumerate(score.notes):
        near = score.notes[max(number - 1, 0) : number + 2]
        pitches = [
            other.pitch
            for other in near
            if other.start - note.end < APART and note.start - other.end < APART
        ]
        low, high = min(pitches) - MARGIN, max(pitches) + MARGIN
        ranges.append((440 * 2 ** ((low - 69) / 12), 440 * 2 ** ((high - 69) / 12)))
    return ranges


def _frames_of_notes(score: Score, spec: MelSpec, frames: int) -> list[tuple[int, int]]:
    """First and last (exclusive) frame of each note; rests are divided between their neighbours."""
    seconds = [(one.end + other.start) / 2 for one, other in pairwise(score.notes)]
    edges = [0, *(min(round(s * spec.frame_rate), frames) for s in seconds), frames]
    return list(pairwise(edges))


def true_f0(path: Path, start: float, frames: int, spec: MelSpec) -> np.ndarray:
    """F0 in Hz (T,), 0 where unvoiced, of a line from `start` seconds of a generated song.

    Args:
        path: npz file with `f0` in Hz (n,) and its `rate` in values per second.

    Raises DataError for a missing or damaged file.
    """
    try:
        with np.load(path) as file:
            f0, rate = file["f0"].astype(np.float64), float(file["rate"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path}: not the F0 of a song ({error}); run stage 1 again") from error
    times = start + (np.arange(frames) + 0.5) * spec.hop / spec.sample_rate
    nearest = np.clip(np.round(times * rate).astype(int), 0, len(f0) - 1)
    return f0[nearest].astype(np.float32)


def with_f0(item: Item, f0: np.ndarray) -> Item:
    """Replace the F0 of a prepared item in voiced frames; it keeps its own where `f0` is 0."""
    frames = min(len(f0), len(item.f0))
    f0, own = f0[:frames], item.f0[:frames]
    changed = np.where((own > 0) & (f0 > 0), f0, own)
    return replace(item, f0=np.concatenate([changed, item.f0[frames:]]))


def cached_pyin(wav: np.ndarray, spec: MelSpec, score: Score, path: Path) -> np.ndarray:
    """`pyin_f0`, cached in the file `path` until the waveform, notes or settings change."""
    digest = hashlib.sha256(np.ascontiguousarray(wav, np.float32).tobytes())
    about = (note_ranges(score), _frames_of_notes(score, spec, len(wav) // spec.hop))
    digest.update(repr((about, WINDOW, RESOLUTION, spec.sample_rate, spec.hop)).encode())
    key = digest.hexdigest()
    found = _cached(path, key)
    if found is None:
        found = pyin_f0(wav, spec, score)
        with replacing(path) as file:
            np.savez(file, f0=found, key=key)
    return found


def _cached(path: Path, key: str) -> np.ndarray | None:
    try:
        with np.load(path) as file:
            return file["f0"] if str(file["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError):
        return None
