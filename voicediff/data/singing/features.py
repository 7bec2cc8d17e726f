"""Stage 2 of singing: mel-spectrograms and F0 of a prepared corpus, token list, statistics.

DUMP/<split>/<utt>.npz       mel (n_mels, T) float16, f0 (T,) float32 in Hz
DUMP/<split>/index.json      {"mel": hash, "utterances": [{utt, frames, path, score, wav, start, end}]}
DUMP/assets/                 mel.yaml, stats.json and the token list, copied into experiments

Frame i of mel and F0 is centred on sample (i + 1/2) hop of the utterance.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from voicediff.audio import MelSpec, f0, log_mel, read_wav
from voicediff.config import dump_yaml, read_yaml
from voicediff.data.singing.kaldi import read_folder
from voicediff.errors import ConfigError, DataError
from voicediff.files import replacing, write_json, write_text
from voicediff.text import Tokenizer

SPLITS = ("train", "dev", "test")
VERSION = 1  # of the features; a change makes existing files invalid
_GROUP = 8  # utterances per job


@dataclass(frozen=True)
class Statistics:
    """Statistics of the training data that a model needs.

    Attributes:
        mel_mean: (n_mels,) mean log-mel over all frames.
        mel_std: one standard deviation of all bins around their means.
        voiced_mean, voiced_std: the same over voiced frames.
        pitch_range: lowest and highest MIDI number in the scores.
        f0_range: 1st and 99th percentile of F0 in Hz.
        utterances, frames, voiced_frames: counts.
    """

    mel_mean: tuple[float, ...]
    mel_std: float
    voiced_mean: tuple[float, ...]
    voiced_std: float
    pitch_range: tuple[int, int] = (0, 127)
    f0_range: tuple[float, float] = (0.0, 0.0)
    utterances: int = 0
    frames: int = 0
    voiced_frames: int = 0

    @classmethod
    def neutral(cls, n_mels: int) -> Statistics:
        """Neutral values: mean 0, standard deviation 1, every pitch."""
        zeros = (0.0,) * n_mels
        return cls(zeros, 1.0, zeros, 1.0)


@dataclass(frozen=True)
class Clip:
    """One utterance to extract: recording, segment and score."""

    utt: str
    wav: Path
    start: float
    end: float
    score: dict

    def key(self, spec: MelSpec) -> str:
        """A hash of everything that the features depend on (not the score)."""
        about = self.wav.stat()
        facts = (VERSION, spec.hash, about.st_size, about.st_mtime_ns, self.start, self.end)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@dataclass
class Moments:
    """Sums over frames (n_mels,) for pooled means and standard deviations."""

    count: int
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, mel: np.ndarray) -> Moments:
        mel = mel.astype(np.float64)
        return cls(mel.shape[1], mel.sum(1), np.square(mel).sum(1))

    def add(self, other: Moments) -> None:
        self.count += other.count
        self.total = self.total + other.total
        self.squares = self.squares + other.squares

    def mean(self) -> np.ndarray:
        return self.total / max(self.count, 1)

    def std(self) -> float:
        """Standard deviation of all bins around their own means."""
        variance = self.squares / max(self.count, 1) - np.square(self.mean())
        return float(np.sqrt(max(variance.mean(), 0.0)))


@dataclass
class Extracted:
    """The result of a job for one utterance."""

    clip: Clip
    frames: int
    everything: Moments
    voiced: Moments
    f0: np.ndarray  # of the voiced frames


def extract(
    data: Path,
    out: Path,
    spec: MelSpec,
    tokenizer: Tokenizer,
    jobs: int = 1,
    dask_scheduler: str | None = None,
) -> Statistics:
    """Extract the features of all splits below `data` to `out`; unchanged utterances are skipped.

    Args:
        tokenizer: is fitted to the training lyrics and saved in the assets.
        jobs: processes on this machine.
        dask_scheduler: address of a Dask cluster to use instead.

    Raises DataError for unreadable recordings, ConfigError if Dask is not available.
    """
    data, out = Path(data), Path(out)
    splits = [split for split in SPLITS if (data / split).is_dir()]
    if "train" not in splits:
        raise DataError(f"{data}: has no train/; run stage 1 (data) first")
    for split in splits:
        clips = read_clips(data / split)
        found = _extract_split(clips, out / split, spec, jobs, dask_scheduler)
        if split == "train":
            statistics = _statistics(found)
            _fit(tokenizer, clips)
            write_assets(out / "assets", spec, statistics, tokenizer)
    return statistics


def read_clips(folder: Path) -> list[Clip]:
    """The utterances of a Kaldi-style folder."""
    prepared = read_folder(folder)
    clips = []
    for utt in prepared.utterances:
        song, start, end = prepared.segment(utt)
        score = prepared.score(utt).to_dict()
        clips.append(Clip(utt, Path(prepared.song_wav(song)), start, end, score))
    return clips


def write_assets(folder: Path, spec: MelSpec, statistics: Statistics, tokenizer: Tokenizer) -> None:
    """Write the files that a model needs with its weights: mel settings, statistics, tokens."""
    write_text(folder / "mel.yaml", dump_yaml({**spec.to_dict(), "hash": spec.hash}))
    write_json(folder / "stats.json", asdict(statistics))
    tokenizer.save(folder)


def read_mel_spec(assets: Path) -> MelSpec:
    """The mel settings of an assets folder. Raises DataError."""
    path = Path(assets) / "mel.yaml"
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 2 (features) or restore the folder")
    try:
        return MelSpec.from_dict(read_yaml(path), str(path))
    except ConfigError as error:
        raise DataError(str(error)) from error


def read_statistics(assets: Path) -> Statistics:
    """The statistics of an assets folder. Raises DataError."""
    path = Path(assets) / "stats.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return Statistics(**{f.name: lists[f.name] for f in fields(Statistics)})
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; run stage 2 (features) or restore it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); run stage 2 again") from error


def _extract_split(
    clips: Sequence[Clip], folder: Path, spec: MelSpec, jobs: int, dask_scheduler: str | None
) -> list[Extracted]:
    groups = [clips[i : i + _GROUP] for i in range(0, len(clips), _GROUP)]
    found: list[Extracted] = []
    with tqdm(total=len(clips), desc=folder.name, unit="line") as bar:
        for group in _parallel(groups, folder, spec, jobs, dask_scheduler):
            found += group
            bar.update(len(group))
    entries = [
        {
            "utt": one.clip.utt,
            "frames": one.frames,
            "path": f"{one.clip.utt}.npz",
            "score": one.clip.score,
            "wav": str(one.clip.wav.resolve()),
            "start": one.clip.start,
            "end": one.clip.end,
        }
        for one in found
    ]
    write_json(folder / "index.json", {"mel": spec.hash, "utterances": entries})
    return found


def _parallel(
    groups: Sequence[Sequence[Clip]],
    folder: Path,
    spec: MelSpec,
    jobs: int,
    dask_scheduler: str | None,
) -> Iterable[list[Extracted]]:
    """Yield the results in the order of the groups."""
    import joblib

    work = [joblib.delayed(extract_group)(group, folder, spec) for group in groups]
    if dask_scheduler:
        client = _dask_client(dask_scheduler)
        with client, joblib.parallel_config(backend="dask"):
            yield from joblib.Parallel()(work)
        return
    backend = {"backend": "loky", "inner_max_num_threads": 1} if jobs > 1 else {}
    with joblib.parallel_config(n_jobs=jobs, **backend):
        yield from joblib.Parallel(return_as="generator")(work)


def _dask_client(address: str):
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            "--dask-scheduler: the package `distributed` is not installed; "
            "pip install 'dask[distributed]' or omit the option"
        ) from error
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(f"--dask-scheduler {address}: no answer ({error})") from error


def extract_group(clips: Sequence[Clip], folder: Path, spec: MelSpec) -> list[Extracted]:
    """Extract utterances into `folder`, or read existing valid files."""
    return [_extract(clip, folder / f"{clip.utt}.npz", spec) for clip in clips]


def _extract(clip: Clip, path: Path, spec: MelSpec) -> Extracted:
    if not clip.wav.is_file():
        raise DataError(f"{clip.wav}: no such audio file ({clip.utt})")
    key = clip.key(spec)
    existing = _read_existing(path, key)
    if existing is None:
        wav, _ = read_wav(clip.wav, spec.sample_rate, clip.start, clip.end)
        if spec.frames(len(wav)) == 0:
            raise DataError(
                f"{clip.wav}: {clip.utt} is shorter than one frame ({len(wav)} samples)"
            )
        mel = log_mel(torch.from_numpy(wav), spec).numpy().astype(np.float16)
        pitch = f0(wav, spec.sample_rate, spec.hop)
        with replacing(path) as file:
            np.savez(file, mel=mel, f0=pitch, key=key)
    else:
        mel, pitch = existing
    voiced = pitch > 0
    return Extracted(clip, mel.shape[1], Moments.of(mel), Moments.of(mel[:, voiced]), pitch[voiced])


def _read_existing(path: Path, key: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Existing features with the same key, or None."""
    try:
        with np.load(path) as arrays:
            if str(arrays["key"]) != key:
                return None
            return arrays["mel"], arrays["f0"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _statistics(found: Sequence[Extracted]) -> Statistics:
    everything, voiced = found[0].everything, found[0].voiced
    for one in found[1:]:
        everything.add(one.everything)
        voiced.add(one.voiced)
    pitches = [note["pitch"] for one in found for note in one.clip.score["notes"]]
    sung = np.concatenate([one.f0 for one in found])
    low, high = np.percentile(sung, [1, 99]) if len(sung) else (0.0, 0.0)
    return Statistics(
        mel_mean=tuple(everything.mean().tolist()),
        mel_std=everything.std(),
        voiced_mean=tuple(voiced.mean().tolist()),
        voiced_std=voiced.std(),
        pitch_range=(min(pitches), max(pitches)),
        f0_range=(float(low), float(high)),
        utterances=len(found),
        frames=everything.count,
        voiced_frames=voiced.count,
    )


def _fit(tokenizer: Tokenizer, clips: Sequence[Clip]) -> None:
    from voicediff.music.score import Score

    scores = [Score.from_dict(clip.score, clip.utt) for clip in clips]
    tokenizer.fit(line for score in scores for line, _ in score.lyric_lines())
