"""The settings that a report compares: samplers, time grids and NFE; for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicediff.errors import ConfigError
from voicediff.registry import build, entries, get

NFE = (1, 2, 3, 4, 6, 8, 10, 16, 20, 32, 50)


@dataclass(frozen=True)
class Setting:
    """A sampler on a grid, with its actual NFE (at most the requested one)."""

    sampler: str
    grid: str
    nfe: int
    spec: Mapping[str, Any]

    @property
    def key(self) -> str:
        return f"{self.sampler}/{self.grid}/{self.nfe}"

    @property
    def title(self) -> str:
        return f"{self.sampler}, {self.grid}"


def settings(
    samplers: Sequence[str] = (),
    grids: Sequence[str] = (),
    nfe: Sequence[int] = NFE,
    own: Mapping[str, Any] | None = None,
) -> list[Setting]:
    """All distinct combinations; without names, all registered samplers and grids.

    Left out: samplers that need more evaluations than requested, grids that are equal because there
    is no time step between the two ends, and, unless named, samplers with adaptive steps.

    Args:
        own: the sampler of the experiment; its options are kept for the settings that use it.

    Raises ConfigError for unknown names, for a named sampler with adaptive steps, and if no setting
    is left.
    """
    chosen = [get("sampler", name, "--samplers").name for name in samplers]
    names = [get("grid", name, "--grids").name for name in grids] or list(entries("grid"))
    found: dict[tuple, Setting] = {}
    for name in chosen or entries("sampler"):
        base = dict(own) if own and own.get("name") == name else {"name": name}
        if "grid" not in get("sampler", name).options:
            if chosen:
                raise ConfigError(f"--samplers: {name} has adaptive steps; its NFE cannot be set")
            continue
        for grid in names:
            for number in nfe:
                _add(found, base, grid, number)
    if not found:
        raise ConfigError("--nfe: every sampler needs more evaluations; give a larger number")
    return list(found.values())


def _add(found: dict[tuple, Setting], base: Mapping[str, Any], grid: str, nfe: int) -> None:
    own_grid = base.get("grid", {})
    options = dict(own_grid) if own_grid.get("name") == grid else {"name": grid}
    spec = {**base, "grid": options}
    try:
        sampler = build("sampler", spec, at="sampler").with_nfe(nfe)
    except ConfigError:  # one step needs more evaluations
        return
    spec["steps"] = sampler.steps
    key = (base["name"], grid if sampler.intervals > 1 else "", sampler.steps)
    found.setdefault(key, Setting(base["name"], grid, sampler.nfe, spec))
