"""Corpora of talking faces in their published layouts: LRS3, VoxCeleb2, GRID."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from voicediff.diffusion.noise import item_seed
from voicediff.errors import DataError
from voicediff.video.faces import sidecar_of

SPLITS = ("train", "dev", "test")
_VIDEO = (".mp4", ".mpg", ".avi", ".mov", ".mkv", ".npz")
_SOUND = (".wav", ".m4a", ".aac", ".flac")
_LRS3 = {"pretrain": "train", "trainval": "train", "test": "test"}


@dataclass(frozen=True)
class Talk:
    """One clip of one person.

    Attributes:
        id: starts with the speaker; without white space.
        split: "train", "dev" or "test".
        video: the video file (or `.npz`, prepared features).
        audio: the audio file, None if `video` contains it.
        boxes: source of the mouth positions: "sidecar", "track" (a face track) or "detector".
        gender: "m", "f" or "" (unknown).
    """

    id: str
    speaker: str
    split: str
    video: Path
    audio: Path | None = None
    text: str = ""
    boxes: str = "detector"
    gender: str = ""


@dataclass(frozen=True)
class Problem:
    """A clip that cannot be used, and why."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


Found = tuple[list[Talk], list[Problem]]


def read_lrs3(root: str | Path, dev_share: float = 0.05, seed: int = 0) -> Found:
    """LRS3: `pretrain|trainval|test/<speaker>/<clip>.mp4` with `<clip>.txt`.

    `dev_share` of trainval's speakers, and all their clips, become the dev set.
    """
    root = _existing(root)
    talks, problems = [], []
    for part, split in _LRS3.items():
        for video in _files(root / part, _VIDEO):
            if len(video.relative_to(root).parts) != 3:
                problems.append(Problem(video, f"is not {part}/<speaker>/<clip>; move it"))
                continue
            speaker, text = video.parent.name, video.with_suffix(".txt")
            talk = Talk(f"{speaker}-{part}-{video.stem}", speaker, split, video, boxes="track")
            if not text.is_file():
                problems.append(Problem(video, f"has no {text.name} beside it"))
            else:
                talks.append(replace(talk, text=_lrs3_text(text)))
    _require_any(talks, problems, root, "pretrain|trainval|test/<speaker>/<clip>.mp4")
    trainval = {t.speaker for t in talks if t.video.parents[1].name == "trainval"}
    dev = _share(trainval, dev_share, seed) if dev_share else set()
    talks = [
        replace(t, split="dev") if t.speaker in dev and t.split == "train" else t for t in talks
    ]
    return _finished(talks, problems, root)


def read_vox2(root: str | Path, dev_share: float = 0.02, seed: int = 0) -> Found:
    """VoxCeleb2: `[dev|test/]mp4/<speaker>/<video>/<clip>.mp4`, audio in `wav|m4a|aac/` next to `mp4/`.

    Without `dev/` and `test/` a twentieth of the speakers is the test set. Genders are read from
    `vox2_meta.csv` in the root, if present.
    """
    root = _existing(root)
    talks, problems = [], []
    parts = [(root / name, split) for name, split in (("dev", "train"), ("test", "test"))]
    parts = [(folder, split) for folder, split in parts if folder.is_dir()] or [(root, "")]
    for folder, split in parts:
        for video in _files(folder / "mp4", _VIDEO):
            place = video.relative_to(folder / "mp4")
            if len(place.parts) != 3:
                problems.append(Problem(video, "is not mp4/<speaker>/<video>/<clip>; move it"))
                continue
            sound = _sound_of(folder, place)
            if sound is None:
                problems.append(
                    Problem(video, "has no audio file of the same name in wav/, m4a/ or aac/")
                )
                continue
            name = "-".join(place.with_suffix("").parts)
            talks.append(Talk(name, place.parts[0], split, video, sound, boxes="track"))
    _require_any(talks, problems, root, "mp4/<speaker>/<video>/<clip>.mp4")
    talks = split_by_speaker(talks, dev_share, 0.05, seed)
    genders = _vox2_genders(root / "vox2_meta.csv")
    return _finished([replace(t, gender=genders.get(t.speaker, "")) for t in talks], problems, root)


def read_grid(
    root: str | Path,
    dev_share: float = 0.1,
    test_share: float = 0.15,
    seed: int = 0,
    speakers: Mapping[str, str] | None = None,
) -> Found:
    """GRID: `<speaker>/**/<clip>.mpg`, or clips alone; `<clip>.align` gives the words where found.

    Args:
        speakers: clip name -> speaker, for clips outside of their speaker's folder (without
            it each such clip counts as a speaker).
    """
    root = _existing(root)
    talks, problems = [], []
    aligns = {path.stem: path for path in root.rglob("*.align")}
    for video in _files(root, _VIDEO):
        place = video.relative_to(root).parts
        named = (speakers or {}).get(video.stem)
        speaker = named or (place[0] if len(place) > 1 else video.stem)
        try:
            text = _grid_text(aligns[video.stem]) if video.stem in aligns else ""
        except DataError as error:
            problems.append(Problem(video, str(error)))
            continue
        talks.append(Talk(f"{speaker}-{video.stem}", speaker, "", video, text=text))
    _require_any(talks, problems, root, "<speaker>/<clip>.mpg")
    return _finished(split_by_speaker(talks, dev_share, test_share, seed), problems, root)


def split_by_speaker(
    talks: Iterable[Talk], dev_share: float, test_share: float, seed: int
) -> list[Talk]:
    """Assign clips without a split by speaker; `dev_share` of the speakers of "train" become dev."""
    talks = list(talks)
    free = {t.speaker for t in talks if t.split == ""}
    test = _share(free, test_share, seed)
    train = {t.speaker for t in talks if t.split != "test"} - test
    dev = _share(train, dev_share, seed + 1)

    def split(talk: Talk) -> str:
        if talk.split == "test" or talk.speaker in test:
            return "test"
        return "dev" if talk.speaker in dev else "train"

    return [replace(talk, split=split(talk)) for talk in talks]


def assigned(talks: Iterable[Talk], splits: Mapping[str, str]) -> list[Talk]:
    """Clips with the split that `splits` gives their speaker, or "*" all others.

    Raises DataError for an unknown speaker or split.
    """
    talks = list(talks)
    unknown = set(splits) - {t.speaker for t in talks} - {"*"}
    if unknown:
        raise DataError(
            f"splits: no clips of {', '.join(sorted(unknown))}; check the speakers' names"
        )
    for speaker, split in splits.items():
        if split not in SPLITS:
            raise DataError(f"splits: {speaker} {split!r}: choices: {', '.join(SPLITS)}")
    other = splits.get("*")
    return [replace(t, split=splits.get(t.speaker, other or t.split)) for t in talks]


def _existing(root: str | Path) -> Path:
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    return root


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files below the folder in a fixed order, without hidden (unfinished) ones.

    Prepared features (`.npz`) are used where there is no video of the same name.
    """
    found = (p for p in folder.rglob("*") if p.suffix.lower() in suffixes)
    files = {p for p in found if p.is_file() and not p.name.startswith(".")}
    videos = {p.with_suffix("") for p in files if p.suffix != ".npz"}
    return sorted(p for p in files if p.suffix != ".npz" or p.with_suffix("") not in videos)


def _require_any(talks: list, problems: list, root: Path, layout: str) -> None:
    if not talks and not problems:
        raise DataError(f"{root}: no clips; expected {layout}")


def _share(speakers: set[str], share: float, seed: int) -> set[str]:
    """A random share of the speakers by seed, at least two of six or more."""
    order = sorted(speakers, key=lambda name: (item_seed(seed, name), name))
    least = min(2, len(order) // 3)
    return set(order[: max(least, round(share * len(order)))])


def _finished(talks: list[Talk], problems: list[Problem], root: Path) -> Found:
    """Genders from `spk2gender`, known boxes, and no speaker in two splits."""
    genders = _genders(root / "spk2gender")
    tested = {t.speaker for t in talks if t.split == "test"}
    kept, seen = [], set()
    for talk in talks:
        talk = replace(talk, id=re.sub(r"\s+", "_", talk.id))
        if talk.split != "test" and talk.speaker in tested:
            problems.append(
                Problem(talk.video, f"its speaker {talk.speaker} is in the test set too")
            )
        elif talk.id in seen:
            problems.append(
                Problem(talk.video, f"another clip is called {talk.id} too; rename one")
            )
        else:
            seen.add(talk.id)
            boxes = "sidecar" if sidecar_of(talk.video).is_file() else talk.boxes
            kept.append(replace(talk, boxes=boxes, gender=genders.get(talk.speaker, talk.gender)))
    return sorted(kept, key=lambda talk: talk.id), problems


def _genders(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        speaker, _, gender = line.strip().partition(" ")
        if gender not in ("m", "f"):
            raise DataError(f"{path}:{number}: expected `speaker m` or `speaker f`, found {line!r}")
        rows[speaker] = gender
    return rows


def _vox2_genders(path: Path) -> dict[str, str]:
    """VoxCeleb2 ID and gender: columns separated by commas and blanks."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file, skipinitialspace=True)]
    heads = [name.lower() for name in rows[0]] if rows else []
    speaker = next((i for i, name in enumerate(heads) if name.startswith("voxceleb2 id")), 0)
    gender = heads.index("gender") if "gender" in heads else 2
    return {
        row[speaker]: row[gender].lower() for row in rows[1:] if len(row) > max(speaker, gender)
    }


def _sound_of(folder: Path, place: Path) -> Path | None:
    names = (
        (folder / kind / place).with_suffix(suffix)
        for kind in ("wav", "m4a", "aac")
        for suffix in _SOUND
    )
    return next((path for path in names if path.is_file()), None)


def _lrs3_text(path: Path) -> str:
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return first.partition(":")[2].strip()


def _grid_text(path: Path) -> str:
    """Words of an align file: `start end word` by line, `sil` and `sp` are silence."""
    words = []
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        if not line.strip():
            continue
        columns = line.split()
        if len(columns) != 3:
            raise DataError(f"{path}:{number}: expected `start end word`, found {line.strip()!r}")
        words.append(columns[2])
    return " ".join(word for word in words if word not in ("sil", "sp"))
