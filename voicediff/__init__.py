"""Interchangeable diffusion parts for singing voice synthesis and speech separation.

The names below are imported when they are first used, so that `import voicediff` is fast.

>>> import voicediff
>>> voicediff.build("sampler", {"name": "heun", "steps": 8}).nfe
15
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicediff.errors import ConfigError, DataError, TrainingError
    from voicediff.inference.loading import load
    from voicediff.inference.results import Song, Sound
    from voicediff.inference.separator import Separator
    from voicediff.inference.singer import Singer, Take
    from voicediff.inference.talk import Speaker, Talk
    from voicediff.inference.vocoder import Vocoder
    from voicediff.registry import build, list_parts

__all__ = [
    "ConfigError",
    "DataError",
    "Separator",
    "Singer",
    "Song",
    "Sound",
    "Speaker",
    "Take",
    "Talk",
    "TrainingError",
    "Vocoder",
    "__version__",
    "build",
    "list_parts",
    "load",
]

_MODULES = {
    "voicediff.errors": ("ConfigError", "DataError", "TrainingError"),
    "voicediff.inference.loading": ("load",),
    "voicediff.inference.results": ("Song", "Sound"),
    "voicediff.inference.separator": ("Separator",),
    "voicediff.inference.singer": ("Singer", "Take"),
    "voicediff.inference.talk": ("Speaker", "Talk"),
    "voicediff.inference.vocoder": ("Vocoder",),
    "voicediff.registry": ("build", "list_parts"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def _version() -> str:
    try:
        return importlib.metadata.version("voicediff")
    except importlib.metadata.PackageNotFoundError:  # a source tree that is not installed
        return "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _PLACES:
        value = getattr(importlib.import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module 'voicediff' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
