"""Third-party packages by import name, and one-line errors for missing or broken packages."""

from __future__ import annotations

import importlib
import sys
from types import FrameType, ModuleType, TracebackType
from typing import NamedTuple

from voicediff.errors import ConfigError


class Package(NamedTuple):
    """The distribution that provides an import name, and the extra of voicediff that installs it.

    Attributes:
        distribution: name for pip.
        extra: None for a package that every installation has.
        also: distributions that must fit this one and are reinstalled with it.
    """

    distribution: str
    extra: str | None = None
    also: tuple[str, ...] = ()


PACKAGES: dict[str, Package] = {
    "torch": Package("torch"),
    "numpy": Package("numpy"),
    "scipy": Package("scipy"),
    "soundfile": Package("soundfile"),
    "soxr": Package("soxr"),
    "yaml": Package("pyyaml"),
    "einops": Package("einops"),
    "safetensors": Package("safetensors"),
    "mido": Package("mido"),
    "tqdm": Package("tqdm"),
    "accelerate": Package("accelerate", "train", also=("torch",)),
    "filelock": Package("filelock", "train"),
    "joblib": Package("joblib", "train"),
    "sentencepiece": Package("sentencepiece", "train"),
    "tensorboard": Package("tensorboard", "train"),
    "matplotlib": Package("matplotlib", "train"),
    "PIL": Package("pillow", "train"),
    "jinja2": Package("jinja2", "train"),
    "librosa": Package("librosa", "train"),
    "markupsafe": Package("jinja2", "train"),
    "pystoi": Package("pystoi", "train"),
    "av": Package("av", "video"),
    "cv2": Package("opencv-python-headless", "video"),
    "espeakng_loader": Package("espeakng-loader", "corpora"),
    "torchaudio": Package("torchaudio", "align", also=("torch",)),
    "optuna": Package("optuna", "sweep"),
    "wandb": Package("wandb", "wandb"),
    "g2pk": Package("g2pk", "g2pk"),
    "pesq": Package("pesq", "pesq"),
    "bigvgan": Package("bigvgan", "bigvgan"),
    "vocos": Package("vocos", "vocos"),
}


def require(name: str, extra: str | None = None, purpose: str = "") -> ModuleType:
    """Import the package or module `name` and return it.

    Args:
        name: import name, e.g. "wandb" or "optuna.storages".
        extra: the extra that installs it; None reads it from PACKAGES.
        purpose: what needs the package, e.g. "logger wandb"; the start of the message.

    Raises ConfigError with one line (package, installed version, command) if the import fails.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        package = _missing(error) or name.partition(".")[0]
        raise ConfigError(_message(package, error, extra, purpose)) from error


def import_failure(error: BaseException) -> ConfigError | None:
    """The one-line error for an exception that the import of a third-party package raised.

    None for errors of voicediff or the standard library, which keep their traceback.
    """
    package = _missing(error) or _failing(error)
    if package is None or package == "voicediff" or package in sys.stdlib_module_names:
        return None
    return ConfigError(_message(package, error))


def _missing(error: BaseException) -> str | None:
    """The package of PACKAGES that a ModuleNotFoundError names."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    package = error.name.partition(".")[0]
    return package if package in PACKAGES else None


def _failing(error: BaseException) -> str | None:
    """The package whose import by voicediff raised `error`."""
    for frame in _frames_below_ours(error.__traceback__):
        if frame.f_code.co_name == "<module>":
            return frame.f_globals.get("__name__", "").partition(".")[0]
    if isinstance(error, ImportError) and error.name:
        return error.name.partition(".")[0]
    return None


def _frames_below_ours(trace: TracebackType | None) -> list[FrameType]:
    """Frames of a traceback that are deeper than the last one of voicediff."""
    frames = []
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    ours = [
        number
        for number, frame in enumerate(frames)
        if frame.f_globals.get("__name__", "").partition(".")[0] == "voicediff"
    ]
    return frames[ours[-1] + 1 :] if ours else frames


def _message(name: str, error: BaseException, extra: str | None = None, purpose: str = "") -> str:
    package = PACKAGES.get(name, Package(name))
    version = installed_version(package.distribution)
    start = f"{purpose}: " if purpose else ""
    if version is None and isinstance(error, ModuleNotFoundError):
        return f"{start}package {name} is not installed; {_install(package, extra)}"
    reason = " ".join(str(error).split()) or type(error).__name__
    names = " ".join([package.distribution, *package.also])
    return (
        f"{start}package {name} {version or '(unknown version)'} cannot be loaded ({reason}); "
        f"pip install --upgrade --force-reinstall {names}"
    )


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, None if it is not installed."""
    from importlib import metadata  # slow to import, and needed for messages only

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _install(package: Package, extra: str | None) -> str:
    extra = extra or package.extra
    target = f"'voicediff[{extra}]'" if extra else package.distribution
    return f"pip install {target}"


def check_installed() -> list[str]:
    """Import every package of PACKAGES that is installed; the messages of those that fail.

    g2pk is skipped: its import downloads a dictionary.
    """
    problems = []
    for name, package in PACKAGES.items():
        if name == "g2pk" or installed_version(package.distribution) is None:
            continue
        try:
            require(name)
        except ConfigError as error:
            problems.append(str(error))
    return problems


if __name__ == "__main__":
    found = check_installed()
    print("\n".join(found) or "Every installed package can be imported.")
    sys.exit(bool(found))
