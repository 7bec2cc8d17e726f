"""The result of an import, and functions that rename and check weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from voicediff.errors import ConfigError, DataError
from voicediff.registry import build

Weights = dict[str, Tensor]


class Part(NamedTuple):
    """One network: `build(kind, spec).load_state_dict(state_dict)` succeeds with strict matching."""

    role: str
    kind: str
    spec: dict[str, Any]
    state_dict: Weights


@dataclass
class Imported:
    """The converted content of a checkpoint.

    parts: the networks. sde, objective: specs, or None where the checkpoint does not determine them.
    stft: the feature settings of training. left_out: prefixes of weights that are not converted (a
    text encoder, for example).
    """

    parts: list[Part]
    sde: dict[str, Any] | None = None
    stft: dict[str, Any] | None = None
    objective: dict[str, Any] | None = None
    left_out: list[str] = field(default_factory=list)


class Renamed(NamedTuple):
    """Name of a module in the checkpoint, its name here, and `change`, a map of (name, tensor)."""

    old: str
    new: str
    change: Callable[[str, Tensor], Tensor] | None = None
    optional: bool = False


def fitted(
    role: str,
    kind: str,
    spec: dict[str, Any],
    weights: Mapping[str, Tensor],
    modules: Iterable[Renamed],
    at: str,
) -> Part:
    """The part with renamed weights, compared with the network that the spec builds.

    DataError lists keys of the checkpoint that are missing or unexpected, and shapes that differ.
    """
    renamed, origin, faults = _rename(weights, modules)
    with torch.device("meta"):
        expected = build(kind, spec).state_dict()
    missing = expected.keys() - renamed.keys()
    if missing and not faults:
        faults.append(f"nothing for {_some(missing)}")
    for name in sorted(expected.keys() & renamed.keys()):
        want, found = tuple(expected[name].shape), tuple(renamed[name].shape)
        if want != found:
            faults.append(f"{origin[name]} is {found}, the options say {want}")
    if faults:
        raise DataError(
            f"{at}: {role} does not fit the options - {'; '.join(faults[:6])}; "
            "set the constructor arguments with which the network was trained"
        )
    return Part(role, kind, spec, renamed)


def _rename(
    weights: Mapping[str, Tensor], modules: Iterable[Renamed]
) -> tuple[Weights, dict[str, str], list[str]]:
    """The renamed weights, their original names by new name, and mismatches."""
    left = dict(weights)
    result: Weights = {}
    origin: dict[str, str] = {}
    missing = []
    for old, new, change, optional in modules:
        names = [n for n in left if n == old or n.startswith(old + ".")]
        if not names and not optional:
            missing.append(old)
        for name in names:
            suffix = name[len(old) :]
            tensor = left.pop(name)
            result[new + suffix] = tensor if change is None else change(suffix[1:], tensor)
            origin[new + suffix] = name
    faults = [f"missing {_some(missing)}"] * bool(missing)
    faults += [f"not expected {_some(left)}"] * bool(left)
    return result, origin, faults


class Options:
    """Arguments of the reference class, with its defaults; unknown names raise ConfigError."""

    def __init__(self, source: str, defaults: Mapping[str, Any], given: Mapping[str, Any]):
        for name in given:
            if name not in defaults:
                raise ConfigError(
                    f"import {source}: no option {name!r}; choices: {', '.join(defaults)}"
                )
        self.source = source
        self.values = {**defaults, **given}

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def only(self, name: str, *allowed: Any) -> None:
        """ConfigError unless the option has one of the supported values."""
        if self.values[name] not in allowed:
            raise ConfigError(
                f"import {self.source}: {name}={self.values[name]!r} is not supported; "
                f"supported: {', '.join(map(repr, allowed))}"
            )


def under(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    """The weights whose names start with `prefix`, with the prefix removed."""
    return {n[len(prefix) :]: t for n, t in weights.items() if n.startswith(prefix)}


def permuted(order: list[int]) -> Callable[[str, Tensor], Tensor]:
    """A `change` that reorders the input channels of a convolution."""

    def change(name: str, tensor: Tensor) -> Tensor:
        if name != "weight":
            return tensor
        return tensor[:, [i for i in order if i < tensor.shape[1]]]

    return change


def _some(names: Iterable[str], most: int = 5) -> str:
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"
