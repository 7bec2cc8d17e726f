"""Choice of the vocoder: a registered part by name, a trained one from its folder, a model's own.

An acoustic model's experiment folder may hold its vocoder:

vocoder.yaml     {vocoder: griffin_lim | harmonic | neural ...} and the measurements behind the choice
vocoder/         a copy of the vocoder `neural`: config.yaml, assets/, weights; no training state
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicediff import experiment
from voicediff.audio import MelSpec
from voicediff.config import dump_yaml, read_yaml
from voicediff.errors import ConfigError, DataError
from voicediff.files import whole_folder, write_text
from voicediff.importing import load as load_imported
from voicediff.registry import build
from voicediff.tasks.vocoder import Vocoding
from voicediff.vocoders import Vocoder
from voicediff.vocoders.published import BIGVGAN, VOCOS, published

NEURAL, FOLDER, CHOICE = "neural", "vocoder", "vocoder.yaml"
FALLBACK = "griffin_lim"


@dataclass(frozen=True)
class Named:
    """A vocoder, its name for messages, and twelve digits of its weights' hash ("" without weights)."""

    vocoder: Vocoder
    title: str
    weights: str = ""

    def to(self, device: Any) -> Named:
        return Named(self.vocoder.to(device), self.title, self.weights)


def find_vocoder(name: str | None, spec: MelSpec | None, model: Path | None = None) -> Named:
    """The vocoder of a name, for mel-spectrograms as described by `spec`; in eval mode.

    Args:
        name: a registered part (`griffin_lim`), a folder that `voicediff train` or `voicediff
            import-checkpoint` wrote, published weights of BigVGAN or Vocos, `neural` (the one in the
            model's folder), or None: the choice of `voicediff choose-vocoder`, else Griffin-Lim.
        spec: None takes the folder's description, for parts the default one.
        model: experiment folder of the acoustic model.

    Raises ConfigError for an unknown name, DataError naming the fields in which the mel
    descriptions differ.
    """
    name = chosen(model) if name is None else name
    if name == NEURAL:
        if model is None or not (model / FOLDER).is_dir():
            raise ConfigError(
                f"--vocoder {NEURAL}: {model or 'without a model there'} has no vocoder of its own; "
                "train one and keep it with `voicediff choose-vocoder`, or give its folder"
            )
        return _from_folder(model / FOLDER, spec, NEURAL)
    if Path(name).is_dir():
        return _from_folder(Path(name), spec, Path(name).resolve().name)
    if "/" in name:
        raise DataError(f"--vocoder {name}: no such folder")
    return Named(
        build("vocoder", {"name": name}, at="--vocoder", spec=spec or MelSpec()).eval(), name
    )


def chosen(model: Path | None) -> str:
    """The name of a model's own vocoder."""
    name = FALLBACK if model is None else kept(model).get("vocoder", FALLBACK)
    if not isinstance(name, str):
        raise DataError(f"{model / CHOICE}: vocoder: expected a name, found {name!r}; choose again")
    return name


def kept(model: Path) -> dict[str, Any]:
    """The content of vocoder.yaml: the choice and its measurements."""
    path = model / CHOICE
    return read_yaml(path) if path.is_file() else {}


def keep(model: Path, name: str, figures: Mapping[str, Any], folder: Path | None = None) -> None:
    """Make a vocoder the model's own; with `folder`, its experiment is copied into the model's."""
    if folder is not None:
        pack(folder, model / FOLDER)
    write_text(model / CHOICE, dump_yaml({"vocoder": name, **figures}))


def pack(folder: Path, target: Path) -> None:
    """Copy what inference needs of a vocoder's folder, without checkpoints and logs."""
    if folder.resolve() == target.resolve():
        return
    files = ["config.yaml", "versions.json", "import.yaml", "vocoder.safetensors"]
    if published(folder) is not None:
        files = [*BIGVGAN, *VOCOS]
    elif (folder / "config.yaml").is_file():
        files.append(experiment.weights_path(folder).name)
    with whole_folder(target) as new:
        for name in files:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, new / name)
        for name in ("assets", "parts"):
            if (folder / name).is_dir():
                shutil.copytree(folder / name, new / name)


def _from_folder(folder: Path, spec: MelSpec | None, title: str) -> Named:
    known = published(folder)
    if known is not None:
        name, own = known
        vocoder = build("vocoder", {"name": name, "folder": str(folder)}, spec=spec or own)
        return Named(vocoder.eval(), title)
    vocoder, weights = _imported(folder) if (folder / "import.yaml").is_file() else _trained(folder)
    if spec is not None:
        vocoder.require(spec, "the model")
    return Named(vocoder.eval(), title, weights)


def _trained(folder: Path) -> tuple[Vocoder, str]:
    task = experiment.load(folder).task
    if not isinstance(task, Vocoding):
        raise DataError(f"{folder}: not an experiment of a vocoder; its task is another one")
    return task.vocoder, experiment.weights_hash(folder)


def _imported(folder: Path) -> tuple[Vocoder, str]:
    found = load_imported(folder).get("vocoder")
    if not isinstance(found, Vocoder):
        raise DataError(f"{folder}: no vocoder was imported there")
    content = (folder / "vocoder.safetensors").read_bytes()
    return found, hashlib.sha256(content).hexdigest()[:12]
