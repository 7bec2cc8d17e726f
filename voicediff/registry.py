"""Registry of the interchangeable parts: registered by a decorator, built from a configuration.

    @register("sampler", "heun")
    class Heun(Sampler):
        \"\"\"Heun's second-order method ... (first line: printed by `voicediff list`).\"\"\"
        def __init__(self, steps: int = 30): ...

    sampler = build("sampler", {"name": "heun", "steps": 10}, at="sampler")

The constructor's signature is the schema of the part's options.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from voicediff.errors import ConfigError

# kind -> the module or package that registers the built-in parts
KINDS: dict[str, str] = {
    "sde": "voicediff.diffusion.sdes",
    "objective": "voicediff.diffusion.objectives",
    "times": "voicediff.diffusion.times",
    "grid": "voicediff.diffusion.samplers",
    "sampler": "voicediff.diffusion.samplers",
    "encoder": "voicediff.encoders",
    "decoder": "voicediff.decoders",
    "predictor": "voicediff.predictors",
    "vocoder": "voicediff.vocoders",
    "discriminator": "voicediff.vocoders",
    "metric": "voicediff.metrics",
    "separation_metric": "voicediff.metrics",
    "task": "voicediff.tasks",
    "tokenizer": "voicediff.text",
    "optimizer": "voicediff.training.optimizers",
    "schedule": "voicediff.training.schedules",
    "logger": "voicediff.training.loggers",
}

Options = TypeVar("Options")


class Spec(dict):
    """The configuration of a child part, `{"name": ..., options}`, and its place in the file.

    A constructor with child parts annotates them with `Spec` and passes them to `build`:
    `self.decoder = build("decoder", decoder, channels=1)`. Building adds the defaults to the spec, so
    that afterwards the tree of specs is the complete configuration.
    """

    def __init__(self, options: Mapping[str, Any], at: str = ""):
        super().__init__(options)
        self.at = at or str(options.get("name", ""))


@dataclass(frozen=True)
class Entry:
    """A registered part: its kind, name and constructor."""

    kind: str
    name: str
    part: Callable[..., Any]

    @property
    def summary(self) -> str:
        """The first line of the part's docstring."""
        return (inspect.getdoc(self.part) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The constructor's parameters by name."""
        return dict(inspect.signature(self.part).parameters)

    @property
    def origin(self) -> str:
        return f"{self.part.__module__}.{getattr(self.part, '__qualname__', self.part)}"


_table: dict[tuple[str, str], Entry] = {}
_plugins_loaded: list[bool] = []
_REGISTRATION = re.compile(r'^@register\("(\w+)", "(\w+)"\)$', re.MULTILINE)


def register(kind: str, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Class decorator: register the class as `name` among the parts of `kind`.

    Raises ConfigError for an unknown kind, for a name that is in use (the message names its owner),
    and for a constructor whose options cannot be checked (`**kwargs`).
    """
    if kind not in KINDS:
        raise ConfigError(f"register: no kind {kind!r}{_nearest(kind, KINDS)}")

    def add(part: Callable[..., Any]) -> Callable[..., Any]:
        entry = Entry(kind, name, part)
        taken = _taken(entry)
        if taken:
            raise ConfigError(f"{entry.origin}: {kind} {name!r} is already registered by {taken}")
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        if any(option.kind in variadic for option in entry.options.values()):
            raise ConfigError(f"{entry.origin}: a registered constructor names every option")
        _table[kind, name] = entry
        return part

    return add


def _taken(entry: Entry) -> str:
    """The other part with the name of `entry`, registered or built in and not imported yet, or `""`."""
    registered = _table.get((entry.kind, entry.name))
    if registered:
        return registered.origin if registered.origin != entry.origin else ""
    ours = _own_modules(entry.kind).get(entry.name, entry.part.__module__)
    return ours if ours != entry.part.__module__ else ""


def entries(kind: str) -> dict[str, Entry]:
    """All parts of a kind by name, sorted; imports the modules of all of them."""
    _load_plugins(kind)
    for module in _own_modules(kind).values():
        importlib.import_module(module)
    return {name: entry for (k, name), entry in sorted(_table.items()) if k == kind}


def list_parts(kind: str) -> dict[str, str]:
    """The parts of a kind: name -> first line of the docstring; `voicediff list` prints them.

    Raises ConfigError for an unknown kind, and where a part needs a package that is not installed.

    >>> list(list_parts("schedule"))[:2]
    ['constant', 'cosine']
    """
    try:
        return {name: entry.summary for name, entry in entries(kind).items()}
    except ModuleNotFoundError as error:
        raise ConfigError(f"{kind}: cannot be listed, {error}") from error


def describe(entry: Entry) -> str:
    """A part's docstring and its options, as they are written in YAML."""
    lines = [f"{entry.kind} {entry.name}  ({entry.origin})", "", inspect.getdoc(entry.part) or ""]
    lines += ["", "options:"]
    lines += [f"  {spell_option(entry, name)}" for name in entry.options]
    return "\n".join(lines)


def get(kind: str, name: str, at: str = "") -> Entry:
    """The part `name` of `kind`; imports its module only.

    ConfigError names the place, the nearest name and the choices.
    """
    _load_plugins(kind)
    if (kind, name) not in _table and name in _own_modules(kind):
        importlib.import_module(_own_modules(kind)[name])
    if (kind, name) not in _table:
        where = f"{at}.name: " if at else ""
        raise ConfigError(f"{where}no {kind} {name!r}{_nearest(name, _names(kind))}")
    return _table[kind, name]


def _names(kind: str) -> list[str]:
    """The names of all parts of a kind, without importing them."""
    _load_plugins(kind)
    return sorted({name for k, name in _table if k == kind} | set(_own_modules(kind)))


@cache
def _own_modules(kind: str) -> dict[str, str]:
    """Name -> module of the built-in parts of a kind, read from their sources without an import."""
    root = Path(__file__).parent
    place = root.parent / KINDS[kind].replace(".", "/")
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return {
        name: ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for file in files
        for found, name in _REGISTRATION.findall(file.read_text(encoding="utf-8"))
        if found == kind
    }


def build(kind: str, spec: Mapping[str, Any], /, at: str | None = None, **given: Any) -> Any:
    """Build the part that `spec` names, e.g. `{"name": "heun", "steps": 10}`.

    `given` are arguments from the parent part (sizes, rates); those that the part does not have
    are left out, and the file may not set them. `at` is the place in the configuration file that
    errors name; a `Spec` brings its own.
    """
    at = at or getattr(spec, "at", "") or kind
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{at}: expected a {kind} like {{name: ...}}, found {spec!r}")
    if "name" not in spec:
        raise ConfigError(f"{at}.name: missing; a {kind} is one of {', '.join(_names(kind))}")
    entry = get(kind, spec["name"], at)
    options = {name: value for name, value in spec.items() if name != "name"}
    given = {name: value for name, value in given.items() if name in entry.options}
    options = _checked_options(entry, options, at, given)
    if isinstance(spec, Spec):
        spec.update(options)
    return entry.part(**options, **given)


def read_options(cls: type[Options], section: Any, at: str) -> Options:
    """The dataclass `cls` from a section of the file, checked like the options of a part."""
    return _checked(section, cls, at)


def import_parts(modules: Iterable[str], folder: str | Path = ".") -> list[Path]:
    """Import the user's modules, which register their parts (`import:` in the YAML).

    A module is an installed one (`my_lab.parts`), or a file: `parts.py`, or a module's name whose
    file is in `folder`, that of the YAML file. Returns the files, which an experiment
    keeps.
    """
    files = []
    for module in modules:
        name = module.removesuffix(".py")
        path = Path(folder, module if module != name else name.replace(".", "/") + ".py")
        if path.is_file():
            _import_file(path.stem, path)
            files.append(path)
        elif module != name:
            raise ConfigError(f"import: no file {path}")
        else:
            _import_installed(module)
    return files


def imported_files() -> list[Path]:
    """The files that `import_parts` has imported in this process, in order."""
    modules = list(sys.modules.values())
    parts = [module for module in modules if getattr(module, "_voicediff_part", None) is True]
    return [Path(str(module.__file__)).resolve() for module in parts]


def _import_file(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"import: {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    loaded = sys.modules.get(name)
    if loaded is not None and not getattr(loaded, "_voicediff_part", False):
        raise ConfigError(f"import: {path}: a module {name!r} already exists; rename the file")
    module.__dict__["_voicediff_part"] = True
    sys.modules[name] = module  # dataclasses and pickle look modules up by name
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{_place(error)}: {type(error).__name__}: {error}") from error


def _place(error: Exception) -> str:
    """The file and line where an import failed."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{where.filename}:{where.lineno}"


def _import_installed(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"import: cannot import {module!r} ({error})") from error


def _checked_options(
    entry: Entry, options: dict[str, Any], at: str, given: dict[str, Any]
) -> dict[str, Any]:
    """The checked options, with defaults for those that are missing in the file."""
    parameters, hints = entry.options, _hints(entry.part)
    for name in options:
        if name in given:
            raise ConfigError(f"{at}.{name}: is set by the enclosing part; remove it here")
    free = {name: p.default for name, p in parameters.items() if name not in given}
    empty = inspect.Parameter.empty
    defaults = {name: MISSING if value is empty else value for name, value in free.items()}
    return _filled(options, defaults, hints, at, f"{entry.kind} {entry.name!r}")


def _filled(
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    hints: Mapping[str, Any],
    at: str,
    owner: str,
) -> dict[str, Any]:
    """`options` checked against `hints`, completed by `defaults` (MISSING: must be given)."""
    for name in options:
        if name not in defaults:
            near = _nearest(name, defaults)
            raise ConfigError(f"{at}.{name}: no such option of {owner}{near}")
    filled = {}
    for name, default in defaults.items():
        hint = hints.get(name, Any)
        if name in options:
            filled[name] = _checked(options[name], hint, f"{at}.{name}")
        elif default is MISSING:
            raise ConfigError(f"{at}.{name}: missing; {owner} needs it ({_spell(hint)})")
        else:
            filled[name] = _placed(default, hint, f"{at}.{name}")
    return filled


def _placed(default: Any, hint: Any, at: str) -> Any:
    """A copy of a default; child specs in it get their place in the configuration."""
    if isinstance(default, (Mapping, list)):
        return _checked(default, hint, at)
    return default


def _hints(part: Callable[..., Any]) -> dict[str, Any]:
    function = part.__init__ if inspect.isclass(part) else part
    return typing.get_type_hints(function)


def _checked(value: Any, hint: Any, at: str) -> Any:
    """`value` checked against its annotation; ints become floats and lists tuples, nothing else."""
    wrong = ConfigError(f"{at}: expected {_spell(hint)}, found {value!r} ({type(value).__name__})")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is inspect.Parameter.empty:
        return value
    if hint is Spec:
        if not isinstance(value, Mapping):
            raise wrong
        return Spec(value, at)
    if origin in (typing.Union, types.UnionType):
        return _checked_union(value, args, at, wrong)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{at}: no choice {value!r}{_nearest(str(value), map(str, args))}")
        return value
    if origin in (list, tuple) or hint in (list, tuple):
        return _checked_sequence(value, origin or hint, args, at, wrong)
    if origin is dict or hint is dict:
        if not isinstance(value, Mapping):
            raise wrong
        inner = args[1] if args else Any
        return {key: _checked(item, inner, f"{at}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return _checked_dataclass(value, hint, at, wrong)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type):
        if not isinstance(value, hint) or (isinstance(value, bool) and hint in (int, float)):
            raise wrong
    return value


def _checked_dataclass(value: Any, cls: type, at: str, wrong: ConfigError) -> Any:
    """A dataclass from a mapping of its fields (an instance is returned unchanged)."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise wrong
    free = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(cls)
        if field.init
    }
    return cls(**_filled(value, free, typing.get_type_hints(cls), at, at.rpartition(".")[2]))


def _checked_union(value: Any, args: tuple, at: str, wrong: ConfigError) -> Any:
    if value is None:
        if type(None) in args:
            return None
        raise wrong
    for hint in args:
        if hint is type(None):
            continue
        try:
            return _checked(value, hint, at)
        except ConfigError as error:
            if str(error).partition(":")[0] != at:  # a deeper place is more specific
                raise
    raise wrong


def _checked_sequence(value: Any, kind: type, args: tuple, at: str, wrong: ConfigError) -> Any:
    if not isinstance(value, (list, tuple)):
        raise wrong
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(args) != len(value):
            raise wrong
        inner = args
    else:
        inner = (args[0] if args else Any,) * len(value)
    pairs = enumerate(zip(value, inner, strict=True))
    return kind(_checked(item, hint, f"{at}[{i}]") for i, (item, hint) in pairs)


def _spell(hint: Any) -> str:
    if hint is Spec:
        return "a part like {name: ...}"
    if hint is type(None):
        return "None"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):  # Optional[...] in Python 3.10
        return " | ".join(_spell(choice) for choice in typing.get_args(hint))
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("voicediff.registry.", "")


def _nearest(word: str, choices: Iterable[str]) -> str:
    choices = list(choices)
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{hint} choices: {', '.join(choices) or 'none'}"


def _load_plugins(kind: str) -> None:
    """Once, import the parts that installed packages announce. Raises ConfigError for the kind."""
    if kind not in KINDS:
        raise ConfigError(f"no kind of part {kind!r}{_nearest(kind, KINDS)}")
    if not _plugins_loaded:
        _plugins_loaded.append(True)
        for point in importlib.metadata.entry_points(group="voicediff.parts"):
            point.load()


def spell_option(entry: Entry, name: str) -> str:
    """An option as people read it: `steps: int = 30`."""
    default = entry.options[name].default
    hint = _spell(_hints(entry.part).get(name, Any))
    required = default is inspect.Parameter.empty
    return f"{name}: {hint}" + (
        " (needed, or given by the part around it)" * required or f" = {default}"
    )
