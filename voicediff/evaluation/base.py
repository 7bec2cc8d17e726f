"""What the report asks of a task: figures of its development data, for a sampler or a reference."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.registry import build
from voicediff.report.measurement_log import MeasurementLog
from voicediff.report.nfe import Judged, Measured
from voicediff.report.settings import Setting
from voicediff.report.table import Column

Figures = dict[str, float | None]


class Measurement(ABC):
    """Development data, and how a sampler does on it.

    Attributes:
        columns: the figures, in the order of the table.
        judged: which of them decide.
        notes: what is to be said about the table.
    """

    columns: ClassVar[Sequence[Column]]
    judged: ClassVar[Judged]
    notes: ClassVar[str]

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What decides the figures; nothing in it depends on the clock."""

    @abstractmethod
    def references(self) -> Sequence[str]:
        """Names of rows that no sampler makes."""

    @abstractmethod
    def refer(self, name: str) -> tuple[Figures, float | None]:
        """Figures of a reference, and seconds of work per second of sound if a model worked."""

    @abstractmethod
    def measure(self, sampler: Sampler) -> tuple[Figures, float]:
        """Figures with this sampler, and seconds of work per second of sound.

        Raises ConfigError where the model's process does not allow it.
        """

    def reference(self, work: MeasurementLog, name: str) -> Mapping[str, float | None]:
        """The figures of a reference, measured now if not yet done."""
        if name not in work.done:
            scores, rtf = self.refer(name)
            work.add(name, {"spec": None, "scores": scores, "rtf": rtf})
        return work.done[name]["scores"]

    def once(self, work: MeasurementLog, setting: Setting) -> Measured:
        """The measurement of a setting, made now if not yet done; maybe a refusal."""
        spec = dict(setting.spec)
        if work.done.get(setting.key, {}).get("spec") != spec:
            try:
                scores, rtf = self.measure(build("sampler", spec, at="sampler"))
                found = {"scores": scores, "rtf": rtf}
            except ConfigError as error:
                found = {"scores": {}, "rtf": None, "refused": str(error)}
            work.add(setting.key, {"spec": spec, **found})
        found = work.done[setting.key]
        return Measured(setting, found["scores"], found["rtf"], found.get("refused", ""))

    def numbers(self, found: Mapping[str, float]) -> Figures:
        """The figures of the table among those found; None for what is not a number."""
        return {
            c.key: float(found[c.key]) if math.isfinite(found[c.key]) else None
            for c in self.columns
            if c.key in found
        }
