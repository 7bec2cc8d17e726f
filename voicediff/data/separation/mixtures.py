"""Mixtures of talking people: random ones for training, fixed lists with a hash otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from voicediff.data.separation.clips import Clip, as_float
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError, DataError
from voicediff.files import write_json
from voicediff.video.constants import HOP

SAME_VOICE, SAME_GENDER, OTHER_GENDER = "same-voice", "same-gender", "different-gender"
OTHER_VOICE = "different-voice"  # where genders are not known
ALONE = "one-voice"  # one speaker in noise: speech enhancement
PAIRS = (OTHER_GENDER, SAME_GENDER, SAME_VOICE)
_PEAK = 0.9  # of full scale, of the mixture
_ATTEMPTS = 20  # to find a mixture that the list does not contain


@dataclass(frozen=True)
class Protocol:
    """How mixtures are made.

    Attributes:
        frames: length in frames of 40 ms.
        level: dB; the first source's level relative to the others is uniform in +-level.
        first: clips start at their beginning, else at a random frame.
        pairs: kinds of pairs, which alternate.
    """

    name: str
    frames: int
    level: float
    first: bool
    pairs: tuple[str, ...]


PROTOCOLS = {
    # also two clips of the same person, which only the lips distinguish
    "own": Protocol("own", 51, 5.0, False, PAIRS),
    # AVDiffuSS (Lee et al. 2024): equal standard deviation, the first 2.04 s
    "avdiffuss": Protocol("avdiffuss", 51, 0.0, True, (OTHER_VOICE,)),
    # LRS3-2Mix (Li et al. 2022): 2 s, levels up to 5 dB apart
    "lrs3-2mix": Protocol("lrs3-2mix", 50, 5.0, False, (OTHER_VOICE,)),
}


@dataclass(frozen=True)
class Entry:
    """A clip as a source of mixtures: `frames` is its length, `gender` "m", "f" or "" (unknown)."""

    id: str
    speaker: str
    gender: str
    frames: int


@dataclass(frozen=True)
class Source:
    """One source of a mixture: first frame, and gain in dB after normalisation to unit variance."""

    clip: str
    start: int
    gain: float


@dataclass(frozen=True)
class Mixture:
    """The description of a mixture.

    Attributes:
        pair: "same-voice", "same-gender", "different-gender", "different-voice" (genders unknown), or
            "one-voice".
        noise: dB of pink noise relative to the first source, None for none; `seed` generates it.
    """

    id: str
    pair: str
    frames: int
    sources: tuple[Source, ...]
    noise: float | None = None
    seed: int = 0


@dataclass
class Mixed:
    """A mixture of S sources, T frames, N = 640 T samples.

    Attributes:
        mixture: (N,) float32, exactly the sum of sources and noise.
        sources: (S, N) float32.
        mouth: (S, T, 96, 96) uint8; valid: (S, T) bool; face: (S, 224, 224, 3) uint8.
    """

    mixture: np.ndarray
    sources: np.ndarray
    mouth: np.ndarray
    valid: np.ndarray
    face: np.ndarray


@dataclass(frozen=True)
class MixtureList:
    """A fixed list. `hash` changes when anything that makes its mixtures changes."""

    name: str
    split: str
    mixtures: tuple[Mixture, ...]
    left_out: int = 0

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of SHA-256 over the mixtures."""
        text = json.dumps([asdict(m) for m in self.mixtures], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def only(self, clips: Iterable[str]) -> MixtureList:
        """The mixtures all of whose clips are there; how many are not is kept in `left_out`."""
        there = set(clips)
        kept = tuple(m for m in self.mixtures if all(s.clip in there for s in m.sources))
        left_out = self.left_out + len(self.mixtures) - len(kept)
        return MixtureList(self.name, self.split, kept, left_out)

    def write(self, path: str | Path) -> None:
        content = {"name": self.name, "split": self.split, "hash": self.hash}
        content |= {"left_out": self.left_out, "mixtures": [asdict(m) for m in self.mixtures]}
        write_json(path, content)


def read_list(path: str | Path) -> MixtureList:
    """Read what `MixtureList.write` wrote. Raises DataError where content and hash disagree."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        mixtures = tuple(
            Mixture(**{**m, "sources": tuple(Source(**s) for s in m["sources"])})
            for m in content["mixtures"]
        )
        found = MixtureList(content["name"], content["split"], mixtures, content["left_out"])
        wanted = content["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of mixtures ({error}); run stage 1 again") from error
    if found.hash != wanted:
        raise DataError(f"{path}: was changed: its hash is {found.hash}, not {wanted}")
    return found


class Drawer:
    """Random mixtures of one protocol from a set of clips; the same seed gives the same mixture.

    Clips shorter than the protocol's length are not used; their names are in `too_short`.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        protocol: Protocol,
        speakers: int = 2,
        frames: int | None = None,
    ):
        """frames: replaces the protocol's length. speakers: 1 is for mixtures with noise."""
        if speakers < 1:
            raise ConfigError(f"speakers: a mixture has at least 1, found {speakers}")
        entries = sorted(entries, key=lambda e: e.id)
        self.protocol, self.speakers = protocol, speakers
        self.frames = frames or protocol.frames
        self.too_short = [e.id for e in entries if e.frames < self.frames]
        self._clips: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.frames >= self.frames:
                self._clips.setdefault(entry.speaker, []).append(entry)
        self._gender = {name: clips[0].gender for name, clips in self._clips.items()}
        self._grouped = {pair: self._groups(pair) for pair in (*PAIRS, OTHER_VOICE, ALONE)}
        self.pairs = tuple(pair for pair, groups in self._grouped.items() if groups)

    def draw(
        self, seed: int, pair: str, name: str = "", noise: tuple[float, float] | None = None
    ) -> Mixture:
        """A mixture of kind `pair` (one of `self.pairs`); `noise` is a range in dB below the first."""
        if pair not in self._grouped:
            raise ConfigError(f"mixtures: no pair {pair!r}; choices: {', '.join(self._grouped)}")
        groups = self._grouped[pair]
        if not groups:
            raise DataError(
                f"mixtures: no {pair} pair of {self.frames} frames in {len(self._clips)} speakers"
            )
        draw = np.random.default_rng(item_seed("mixture", seed))
        chosen = self._choose(groups[draw.integers(len(groups))], pair, draw)
        level = float(draw.uniform(-1, 1)) * self.protocol.level
        sources = tuple(
            Source(entry.id, self._start(entry, draw), round(gain, 3))
            for entry, gain in zip(chosen, [level / 2] + [-level / 2] * self.speakers, strict=False)
        )
        loud = None if noise is None else round(float(draw.uniform(*noise)), 3)
        kind = self._kind(chosen)
        return Mixture(
            name or str(seed), kind, self.frames, sources, loud, int(draw.integers(2**31))
        )

    def _start(self, entry: Entry, draw: np.random.Generator) -> int:
        return 0 if self.protocol.first else int(draw.integers(entry.frames - self.frames + 1))

    def _groups(self, pair: str) -> list[list[str]]:
        """Groups of speakers; those of a mixture are from one group."""
        names = sorted(self._clips)
        if self.speakers == 1 or pair == ALONE:
            return [names] if self.speakers == 1 and pair == ALONE and names else []
        if pair == SAME_VOICE:
            return [[name] for name in names if len(self._clips[name]) >= self.speakers]
        by_gender = {g: [n for n in names if self._gender[n] == g] for g in ("m", "f")}
        if pair == SAME_GENDER:
            return [group for group in by_gender.values() if len(group) >= self.speakers]
        if pair == OTHER_GENDER:
            known = by_gender["m"] + by_gender["f"]
            enough = all(by_gender.values()) and len(known) >= self.speakers
            return [known] if enough else []
        return [names] if len(names) >= self.speakers else []

    def _choose(self, group: list[str], pair: str, draw: np.random.Generator) -> list[Entry]:
        if pair == SAME_VOICE:
            clips = self._clips[group[0]]
            return [clips[i] for i in draw.permutation(len(clips))[: self.speakers]]
        names = [group[i] for i in draw.permutation(len(group))]
        if pair == OTHER_GENDER:  # the second is the first of the other gender
            other = next(n for n in names if self._gender[n] != self._gender[names[0]])
            names = [names[0], other] + [n for n in names[1:] if n != other]
        clips = [self._clips[name] for name in names[: self.speakers]]
        return [c[draw.integers(len(c))] for c in clips]

    def _kind(self, chosen: Sequence[Entry]) -> str:
        genders = {entry.gender for entry in chosen}
        if len(chosen) == 1:
            return ALONE
        if len({entry.speaker for entry in chosen}) == 1:
            return SAME_VOICE
        if "" in genders:
            return OTHER_VOICE
        return SAME_GENDER if len(genders) == 1 else OTHER_GENDER


def draw_list(
    drawer: Drawer,
    name: str,
    split: str,
    count: int,
    seed: int,
    noise: tuple[float, float] | None = None,
) -> MixtureList:
    """A list of `count` mixtures that alternates the protocol's kinds of pairs (as far as possible).

    Mixtures are unique, so few clips may give a shorter list. DataError for an empty list.
    """
    pairs = [p for p in (*drawer.protocol.pairs, ALONE) if p in drawer.pairs]
    if (
        OTHER_GENDER in drawer.protocol.pairs
        and OTHER_GENDER not in pairs
        and OTHER_VOICE in drawer.pairs
    ):
        pairs.append(OTHER_VOICE)
    if not pairs:
        raise DataError(
            f"mixtures: the {split} set has no two clips of {drawer.frames} frames to mix for {name!r}; "
            "give more clips, or name their speakers"
        )
    made: dict[tuple[Source, ...], Mixture] = {}
    for index in range(count):
        pair, place = pairs[index % len(pairs)], f"{split}-{name}-{index:04d}"
        for attempt in range(_ATTEMPTS):
            draw_seed = item_seed(seed, name, split, index, attempt)
            mixture = drawer.draw(draw_seed, pair, place, noise)
            together = tuple(sorted(mixture.sources, key=str))
            if together not in made:
                made[together] = mixture
                break
    return MixtureList(name, split, tuple(made.values()))


def mix(mixture: Mixture, clips: Sequence[Clip]) -> Mixed:
    """Mix clips that are cut to the mixture's frames (`read_clip(path, source.start, frames)`).

    Each source is normalised to unit variance and multiplied by its gain; a common factor sets
    the mixture's peak to 0.9 of full scale.
    """
    sources = np.stack([as_float(clip.audio) for clip in clips])
    if sources.shape != (len(mixture.sources), mixture.frames * HOP):
        raise ValueError(f"{mixture.id}: clips of {sources.shape}, not {mixture.frames} frames")
    gains = 10 ** (np.array([[s.gain] for s in mixture.sources]) / 20)
    # a silent source stays silent
    sources = gains * sources / np.maximum(sources.std(1, keepdims=True), 1e-4)
    noise = np.zeros(sources.shape[1])
    if mixture.noise is not None:
        noise = pink(sources.shape[1], mixture.seed) * 10 ** (mixture.noise / 20) * gains[0]
    factor = _PEAK / max(np.abs(sources.sum(0) + noise).max(), 1e-4)
    sources = (factor * sources).astype(np.float32)
    return Mixed(
        mixture=sources.sum(0) + (factor * noise).astype(np.float32),
        sources=sources,
        mouth=np.stack([clip.mouth for clip in clips]),
        valid=np.stack([clip.valid for clip in clips]),
        face=np.stack([clip.face for clip in clips]),
    )


def pink(samples: int, seed: int) -> np.ndarray:
    """Pink noise (3 dB an octave less above 20 Hz), standard deviation 1, (N,) float64."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / 16000)
    noise = np.fft.irfft(white / np.sqrt(np.maximum(frequencies, 20)), samples)
    return noise / noise.std()
