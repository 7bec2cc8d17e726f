"""One function for every kind of trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicediff import experiment
from voicediff.errors import ConfigError
from voicediff.pretrained import SINGER
from voicediff.vocoders.published import published

if TYPE_CHECKING:
    from voicediff.inference.separator import Separator
    from voicediff.inference.singer import Singer
    from voicediff.inference.vocoder import Vocoder

PACKED = {"singer": SINGER}  # the models that are part of the package
_NOT_YET = ("separator",)


def load(name: str | Path, device: str | None = None) -> Singer | Separator | Vocoder:
    """A trained model, ready for use.

    Args:
        name: a packed model (`singer`), or the folder of an experiment, of imported weights or of
            published vocoder weights. Write `./singer` for a folder of that name.
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None takes a CUDA GPU if there is one, else the
            CPU.

    Returns a `Singer` (task `svs`), `Separator` (task `avss`) or `Vocoder` (task `vocoder`).
    Raises ConfigError for an unknown name and for other tasks, DataError for a damaged folder.

    >>> load("singer", device="cpu").sample_rate
    22050
    """
    folder = PACKED.get(str(name), Path(name))
    if str(name) in _NOT_YET:
        raise ConfigError(f"no {name} is part of voicediff yet; give an experiment folder")
    if not folder.is_dir():
        raise ConfigError(
            f"{name}: neither a packed model ({', '.join(PACKED)}) nor an experiment folder"
        )
    if published(folder) is not None or (folder / "import.yaml").is_file():
        return _vocoder(folder, device)
    loaded = experiment.load(folder, device=device)
    modules = {base.__module__ for base in type(loaded.task).__mro__}
    if "voicediff.tasks.vocoder" in modules:
        return _vocoder(folder, device)
    if "voicediff.tasks.avss.model" in modules:  # looked up by name: its import needs OpenCV
        from voicediff.inference.separator import Separator

        return Separator(loaded)
    from voicediff.inference.singer import Singer

    return Singer(loaded)


def _vocoder(folder: Path, device: str | None) -> Vocoder:
    from voicediff.inference.vocoder import Vocoder

    return Vocoder.load(folder, device=device)
