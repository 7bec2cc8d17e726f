"""The experiment folder: all that inference needs, in one place, and nothing of the trainer.

config.yaml           the configuration with every default written out
parts/                the user's own modules that it imports
assets/               token list, statistics, feature settings
versions.json         versions of the packages, git hash, seed
best.safetensors      weights (raw and averaged) where the sampled metric was best
last.safetensors      weights of the newest checkpoint
checkpoints/, logs    what the trainer needs besides
report/               what `voicediff report` found; recommended.yaml is the sampler to use
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from voicediff.config import dump_yaml, only_keys, override, plain, read_yaml
from voicediff.devices import chosen
from voicediff.errors import ConfigError, DataError
from voicediff.files import replacing, write_json, write_text
from voicediff.registry import Spec, build, import_parts
from voicediff.tasks.base import Task

RECOMMENDED = "report/recommended.yaml"
PACKAGES = ("voicediff", "torch", "torchaudio", "numpy", "accelerate", "safetensors", "librosa")


@dataclass
class Config:
    """A configuration file as it was read: the parts are still specs.

    files: the user's modules that `imports` found beside the file.
    """

    task: Spec
    sampler: Spec | None = None
    training: dict[str, Any] = field(default_factory=dict)
    loggers: list[Any] = field(default_factory=lambda: ["csv"])
    seed: int = 1234
    imports: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def resolved(self) -> dict[str, Any]:
        """The file's content with the defaults of everything that was built from it."""
        return {
            "import": list(self.imports),
            "seed": self.seed,
            "task": plain(self.task),
            "sampler": plain(self.sampler),
            "training": plain(self.training),
            "loggers": plain(self.loggers),
        }

    def build_task(self, assets: Path | None = None) -> Task:
        """The task with weights drawn from the seed."""
        torch.manual_seed(self.seed)
        return build("task", self.task, at="task", assets=assets)

    def build_sampler(self) -> Any | None:
        return None if self.sampler is None else build("sampler", self.sampler, at="sampler")


@dataclass
class Experiment:
    """A trained model: the task in eval mode, its configuration and where it came from.

    sampler: the one that `voicediff report` recommends (`recommended` is its file), else the
        configuration's.
    """

    task: Task
    config: Config
    sampler: Spec | None
    folder: Path
    step: int
    recommended: Path | None = None


def read_config(path: str | Path, assignments: Iterable[str] = ()) -> Config:
    """Read a configuration, apply overrides and import the parts it names. Raises ConfigError."""
    path = Path(path)
    content = override(read_yaml(path), assignments)
    allowed = ("import", "seed", "task", "sampler", "training", "loggers")
    only_keys(content, allowed, "")
    if not isinstance(content.get("task"), Mapping):
        raise ConfigError(f"{path}: task: missing; it names what is trained, e.g. {{name: svs}}")
    modules = content.get("import") or []
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise ConfigError(f"import: expected a list of modules, found {modules!r}")
    seed = content.get("seed", 1234)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"seed: expected int, found {seed!r}")
    sampler = content.get("sampler")
    return Config(
        task=Spec(content["task"], "task"),
        sampler=None if sampler is None else Spec(_section(sampler, "sampler"), "sampler"),
        training=_section(content.get("training") or {}, "training"),
        loggers=content.get("loggers") or ["csv"],
        seed=seed,
        imports=modules,
        files=import_parts(modules, path.parent),
    )


def load(
    folder: str | Path, ema: bool = True, device: str | None = "cpu", weights: str = ""
) -> Experiment:
    """The model of an experiment folder, ready for inference.

    Args:
        ema: the averaged weights, else the raw ones.
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None takes a CUDA GPU if there is one.
        weights: `best` or `last`; by default the best where there is one.

    Raises DataError where a file is missing, damaged or does not fit the others, ConfigError for a
    device that is not there.
    """
    folder, place = Path(folder), chosen(device)
    config = folder / "config.yaml"
    if not config.is_file():
        raise DataError(f"{folder}: not an experiment folder (config.yaml is missing)")
    path = weights_path(folder, weights)
    tensors, about = read_weights(path, "ema" if ema else "raw")
    assets = folder / "assets"
    _check_assets(assets, about["assets"], path)
    config = read_config(config)
    task = config.build_task(assets if assets.is_dir() else None)
    fit_weights(task, tensors, str(path))
    sampler, recommended = config.sampler, folder / RECOMMENDED
    if recommended.is_file():
        sampler = Spec(read_yaml(recommended), str(recommended))
    else:
        recommended = None
    return Experiment(task.to(place).eval(), config, sampler, folder, about["step"], recommended)


def weights_hash(folder: str | Path) -> str:
    """Twelve hexadecimal digits of the weights that `load` takes by default."""
    return hashlib.sha256(weights_path(Path(folder)).read_bytes()).hexdigest()[:12]


def weights_path(folder: Path, weights: str = "") -> Path:
    """The file of `best` or `last` weights; by default the best where there is one."""
    if weights:
        return folder / f"{weights}.safetensors"
    for name in ("best", "last"):
        if (folder / f"{name}.safetensors").is_file():
            return folder / f"{name}.safetensors"
    raise DataError(f"{folder}: has no weights (best.safetensors or last.safetensors is missing)")


def create(folder: Path, config: Config, assets: Path | None) -> None:
    """Lay out a new experiment folder; config.yaml comes last and marks it as whole."""
    folder.mkdir(parents=True, exist_ok=True)
    if assets is not None:
        _copy_folder(assets, folder / "assets")
    write_json(folder / "versions.json", versions(config.seed))
    write_config(folder, config)


def write_config(folder: Path, config: Config) -> None:
    """config.yaml, importing the copies of the user's modules in `parts/`."""
    content = config.resolved()
    kept = {path.stem: path for path in config.files}
    for path in config.files:
        target = folder / "parts" / path.name
        if path.resolve() != target.resolve():
            write_text(target, path.read_text(encoding="utf-8"))
    content["import"] = [
        f"parts/{stem}.py" if (stem := _stem(name)) in kept else name for name in config.imports
    ]
    write_text(folder / "config.yaml", dump_yaml(content))


def differences(folder: Path, config: Config) -> list[str]:
    """What the folder's configuration says differently, e.g. `seed (1, now 2)`.

    Where batches are loaded and what is logged where may change freely.
    """
    old, new = read_yaml(folder / "config.yaml"), config.resolved()
    for content in (old, new):
        content.pop("loggers", None)
        content.get("training", {}).pop("workers", None)
    old_parts = {_stem(name) for name in old.pop("import", None) or []}
    found = [
        f"import {name}" for name in sorted(old_parts ^ {_stem(name) for name in new.pop("import")})
    ]
    for path in config.files:
        kept = folder / "parts" / path.name
        if kept.is_file() and kept.read_bytes() != path.read_bytes():
            found.append(f"import {path.name} (its text)")
    before, now = dict(_leaves(old)), dict(_leaves(new))
    for key in sorted(before.keys() | now.keys()):
        if key not in before or key not in now or before[key] != now[key]:
            found.append(f"{key} ({before.get(key, 'absent')}, now {now.get(key, 'absent')})")
    return found


def write_weights(
    path: Path, raw: Mapping[str, Tensor], ema: Mapping[str, Tensor], step: int, assets: Path
) -> None:
    """Raw and averaged weights in one safetensors file, with the fingerprints of the assets."""
    tensors = {f"raw/{name}": _stored(tensor) for name, tensor in raw.items()}
    tensors |= {f"ema/{name}": _stored(tensor) for name, tensor in ema.items()}
    about = {"step": str(step), "assets": json.dumps(fingerprints(assets))}
    with replacing(path) as file:
        file.write(safetensors_torch.save(tensors, about))


def pack(folder: Path, target: Path) -> None:
    """Copy what use needs of an experiment into the folder `target`: averaged weights as float16."""
    path = weights_path(folder)
    tensors, about = read_weights(path, "ema")
    half = {f"ema/{n}": t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    kept = {"step": str(about["step"]), "assets": json.dumps(about["assets"])}
    (target / path.name).write_bytes(safetensors_torch.save(half, kept))
    for name in ("config.yaml", "versions.json", RECOMMENDED):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    for name in ("assets", "parts"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, target / name)


def read_weights(path: Path, which: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The `ema` or `raw` weights of a file, and its step and assets. Raises DataError."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            prefix = f"{which}/"
            names = [name for name in file.keys() if name.startswith(prefix)]
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: missing") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); copy the file again") from error
    if not {"step", "assets"} <= about.keys() or not tensors:
        raise DataError(f"{path}: holds no {which} weights of voicediff")
    return tensors, {"step": int(about["step"]), "assets": json.loads(about["assets"])}


def fit_weights(task: Task, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load weights that must fit exactly; DataError names the first that do not."""
    wrong = misfits(task, tensors)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DataError(f"{source}: does not fit its configuration: {'; '.join(wrong[:3])}{more}")
    task.load_state_dict(dict(tensors))


def misfits(task: Task, tensors: Mapping[str, Tensor]) -> list[str]:
    """Weights that are missing, left over, or of another shape than the task's."""
    own = task.state_dict()
    found = [f"{name} is missing" for name in own if name not in tensors]
    found += [f"{name} is not part of the model" for name in tensors if name not in own]
    for name in own.keys() & tensors.keys():
        if own[name].shape != tensors[name].shape:
            here, there = tuple(own[name].shape), tuple(tensors[name].shape)
            found.append(f"{name} is {there}, the model has {here}")
    return sorted(found)


def load_same(task: Task, folder: Path) -> list[str]:
    """Fine-tuning: take over the weights that fit from another experiment; returns what did not."""
    tensors, _ = read_weights(weights_path(folder), "ema")
    own = task.state_dict()
    same = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    if not same:
        raise DataError(f"{folder}: none of its weights fits this configuration")
    left_out = misfits(task, tensors)
    task.load_state_dict(same, strict=False)
    return left_out


def fingerprints(assets: Path) -> dict[str, str]:
    """SHA-256 of each file below the folder of assets."""
    files = sorted(path for path in assets.rglob("*") if path.is_file())
    return {
        str(path.relative_to(assets)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def versions(seed: int) -> dict[str, Any]:
    """What this was made with."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": found,
        "git": _git_hash(),
        "seed": seed,
        "machine": platform.platform(),
    }


def _git_hash() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _section(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{at}: expected a section of `key: value` lines, found {value!r}")
    return dict(value)


def _check_assets(assets: Path, expected: Mapping[str, str], path: Path) -> None:
    for name, digest in expected.items():
        if not (assets / name).is_file():
            raise DataError(f"{assets / name}: missing; {path.name} was trained with it")
        if hashlib.sha256((assets / name).read_bytes()).hexdigest() != digest:
            raise DataError(
                f"{assets / name}: differs from the one {path.name} was trained with; "
                "put the original back"
            )


def _copy_folder(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise DataError(f"{source}: no such folder of assets")
    if source.resolve() == target.resolve():
        return
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _stem(module: str) -> str:
    """`parts.py`, `parts/parts.py` and `my_lab.parts` are all kept as `parts`."""
    return Path(module.removesuffix(".py").replace(".", "/")).name


def _stored(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _leaves(content: Any, at: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(content, Mapping) and content:
        for key, item in content.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        for number, item in enumerate(content):
            yield from _leaves(item, f"{at}[{number}]")
    else:
        yield at, content
