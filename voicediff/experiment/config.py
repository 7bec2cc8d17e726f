"""Reading, comparing and writing the configuration of an experiment."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from voicediff.config import dump_yaml, only_keys, override, plain, read_yaml
from voicediff.errors import ConfigError
from voicediff.experiment.conversion import converted, converted_path, described, task_name
from voicediff.files import write_text
from voicediff.registry import Spec, build, import_parts
from voicediff.tasks.base import Task


@dataclass
class Config:
    """The content of a configuration file; parts are specs, not built yet.

    files: the user's modules in `imports` that are files.
    """

    task: Spec
    sampler: Spec | None = None
    training: dict[str, Any] = field(default_factory=dict)
    loggers: list[Any] = field(default_factory=lambda: ["csv"])
    seed: int = 1234
    imports: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def resolved(self) -> dict[str, Any]:
        """The content with the defaults of all parts that have been built."""
        return {
            "import": list(self.imports),
            "seed": self.seed,
            "task": plain(self.task),
            "sampler": plain(self.sampler),
            "training": plain(self.training),
            "loggers": plain(self.loggers),
        }

    def build_task(self, assets: Path | None = None) -> Task:
        """The task, with weights initialised from the seed."""
        torch.manual_seed(self.seed)
        return build("task", self.task, at="task", assets=assets)

    def build_sampler(self) -> Any | None:
        return None if self.sampler is None else build("sampler", self.sampler, at="sampler")


def read_config(path: str | Path, assignments: Iterable[str] = ()) -> Config:
    """Read a configuration, apply overrides and import the parts it names. Raises ConfigError.

    Options may have their names of earlier versions, see `voicediff.experiment.conversion`.
    """
    path = Path(path)
    content = read_yaml(path, _with_new_names)
    content = override(content, _with_new_paths(assignments, task_name(content)))
    allowed = ("import", "seed", "task", "sampler", "training", "loggers")
    only_keys(content, allowed, "")
    if not isinstance(content.get("task"), Mapping):
        raise ConfigError(f"{path}: task: missing; e.g. {{name: svs}}")
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


def write_config(folder: Path, config: Config) -> None:
    """Write config.yaml, which imports copies of the user's modules in `parts/`."""
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
    """Differences to the folder's configuration, e.g. `seed (1, now 2)`.

    Loggers and the number of workers may differ.
    """
    old, new = read_yaml(folder / "config.yaml", _with_new_names), config.resolved()
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


def _with_new_names(path: Path, own: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """A file's content with the present option names; warns unless an experiment folder holds it."""
    content, renamed = converted(own, task_name(base))
    if renamed and not (path.parent / "versions.json").is_file():
        print(f"{path}: {described(renamed)}", file=sys.stderr)
    return content


def _with_new_paths(assignments: Iterable[str], task: str) -> Iterable[str]:
    """Overrides with the present option names; warns of old ones."""
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        new = converted_path(path, task)
        if new != path:
            print(described({path: new}), file=sys.stderr)
        yield f"{new}{equals}{value}"


def _section(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{at}: expected a section of `key: value` lines, found {value!r}")
    return dict(value)


def _stem(module: str) -> str:
    """Name of the copy of a module: `parts` for `parts.py`, `parts/parts.py` and `my_lab.parts`."""
    return Path(module.removesuffix(".py").replace(".", "/")).name


def _leaves(content: Any, at: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(content, Mapping) and content:
        for key, item in content.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        for number, item in enumerate(content):
            yield from _leaves(item, f"{at}[{number}]")
    else:
        yield at, content
