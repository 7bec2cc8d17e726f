"""Configuration files: a strict YAML reader, overrides from the command line, and writing back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from voicediff.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that reads `1e-4` as a number and `no` as a text, and refuses repeated keys."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, (str, int, float)):
            raise ConfigError(f"{loader.name}:{line}: {key!r} cannot be a key")
        if key in seen:
            raise ConfigError(
                f"{loader.name}:{line}: {key!r} is given twice (also line {seen[key]})"
            )
        seen[key] = line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_number = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?$|[-+]?\.inf$|\.nan$")
_StrictLoader.yaml_implicit_resolvers = {
    first: [
        (tag, regexp)
        for tag, regexp in resolvers
        if tag.rpartition(":")[2] not in ("bool", "int", "float", "timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|false|False)$"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9]\d*)$"), list("-+0123456789")
)
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", _number, list("-+.0123456789"))
_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class _Dumper(yaml.SafeDumper):
    """Lists and short mappings on one line, keys in the order they were given."""


def _represent_sequence(dumper: _Dumper, data: Iterable) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", list(data), flow_style=True)


def _represent_text(dumper: _Dumper, data: str) -> yaml.Node:
    """Escape line breaks of every kind: PyYAML would fold some of them into spaces."""
    style = '"' if _line_break.search(data) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_line_break = re.compile("[\n\r\x85\u2028\u2029]")
_Dumper.yaml_implicit_resolvers = _StrictLoader.yaml_implicit_resolvers
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_sequence)
_Dumper.add_representer(tuple, _represent_sequence)
_Dumper.add_multi_representer(dict, lambda dumper, data: dumper.represent_dict(data.items()))


def parse_yaml(text: str, name: str = "<text>") -> Any:
    """Parse YAML text strictly. Raises ConfigError with `name:line`."""
    loader = None
    try:
        loader = _StrictLoader(text)
        loader.name = name
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{name}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not YAML: {str(error).splitlines()[0]}") from error
    finally:
        if loader is not None:
            loader.dispose()


Convert = Callable[[Path, dict[str, Any], Mapping[str, Any]], dict[str, Any]]


def read_yaml(
    path: str | Path, convert: Convert | None = None, reading: tuple[Path, ...] = ()
) -> dict[str, Any]:
    """Read a configuration file whose top level is a mapping. Raises ConfigError.

    `base: FILE` in it names a file beside it that is read first; see `layered`.

    Args:
        convert: replaces the content of each file, `convert(path, content, content of its base)`.
        reading: files that are being read, to detect two that name each other.
    """
    path = Path(path)
    if path.resolve() in reading:
        raise ConfigError(f"{path}: base: is circular")
    config, base = _read_mapping(path), None
    if "base" in config:
        name = config.pop("base")
        if not isinstance(name, str):
            raise ConfigError(f"{path}: base: expected the name of a file, found {name!r}")
        base = read_yaml(path.parent / name, convert, (*reading, path.resolve()))
    if convert is not None:
        config = convert(path, config, base or {})
    return config if base is None else layered(base, config)


def layered(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`base` updated by `own`.

    Sections are merged key by key. A part with another `name` replaces the whole part, since options
    differ. Lists are replaced; in lists of named members (phases), a member is merged with the one
    of the same name in `base`.
    """
    if "name" in own and own["name"] != base.get("name"):
        return plain(own)
    result = plain(base)
    for key, value in own.items():
        there = result.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            result[key] = layered(there, value)
        elif isinstance(value, list) and isinstance(there, list):
            named = {m["name"]: m for m in there if isinstance(m, Mapping) and "name" in m}
            result[key] = [
                layered(named.get(m.get("name"), {}), m) if isinstance(m, Mapping) else m
                for m in value
            ]
        else:
            result[key] = plain(value)
    return result


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from error
    config = parse_yaml(text, str(path))
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: the top level must be `key: value` lines")
    return config


def dump_yaml(config: Mapping[str, Any]) -> str:
    """The configuration as YAML that `parse_yaml` reads back unchanged."""
    return yaml.dump(plain(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def override(config: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `config` with `a.b.c=value` assignments applied (values are YAML).

    A path must exist up to its last key's parent; a new last key is allowed because a file may omit
    defaults. A member of a list is named by its number or by its `name`
    (`training.phases.decoder.steps=10`). `name=` of a part replaces the whole part, since options
    differ.
    """
    result = plain(config)
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"{assignment!r}: an override is written key.key=value")
        *parents, last = path.split(".")
        place: Any = result
        for depth, key in enumerate(parents):
            at = ".".join(parents[: depth + 1])
            place = place[_key(place, key, at)]
            if not isinstance(place, (dict, list)):
                raise ConfigError(f"{at}: is not a section but {place!r}")
        parsed = parse_yaml(value, path)
        if isinstance(place, list):
            last = _key(place, last, path)
        elif last == "name" and place.get("name") not in (None, parsed):
            place.clear()
        place[last] = parsed
    return result


def _key(place: dict | list, key: str, at: str) -> Any:
    """The key of a section, or the index of a list's member given by number or name."""
    keys: dict[str, Any] = {}
    if isinstance(place, list):
        keys = {str(number): number for number in range(len(place))}
        named = enumerate(place)
        keys |= {m["name"]: n for n, m in named if isinstance(m, dict) and "name" in m}
    else:
        keys = {str(name): name for name in place}
    if key not in keys:
        near = difflib.get_close_matches(key, keys, n=1)
        did = f"; did you mean {near[0]!r}?" if near else f"; choices: {', '.join(keys)}"
        raise ConfigError(f"{at}: no such section{did}")
    return keys[key]


def only_keys(section: Mapping[str, Any], allowed: Iterable[str], at: str) -> None:
    """Raise ConfigError for a key of `section` that is not allowed, naming the nearest one."""
    allowed = list(allowed)
    for key in section:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, n=1)
            did = f"; did you mean {near[0]!r}?" if near else ";"
            place = f"{at}.{key}" if at else str(key)
            raise ConfigError(f"{place}: no such option{did} choices: {', '.join(allowed)}")


def plain(value: Any) -> Any:
    """A copy made of mappings, lists and scalars only, as in a YAML file."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
