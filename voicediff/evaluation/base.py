"""Measurements for the report: metrics on development data, with a sampler or of a reference."""

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

Metrics = dict[str, float | None]


class Measurement(ABC):
    """Development data on which samplers are measured.

    Attributes:
        columns: the metrics, in the order of the table.
        judged: the metrics that select the recommended sampler.
        notes: notes below the table.
    """

    columns: ClassVar[Sequence[Column]]
    judged: ClassVar[Judged]
    notes: ClassVar[str]

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Everything that the metrics depend on; without times of measurement."""

    @abstractmethod
    def references(self) -> Sequence[str]:
        """Names of the rows without a sampler."""

    @abstractmethod
    def measure_reference(self, name: str) -> tuple[Metrics, float | None]:
        """Metrics of a reference, and its real-time factor if a model computes it, else None."""

    @abstractmethod
    def measure(self, sampler: Sampler) -> tuple[Metrics, float]:
        """Metrics with this sampler, and the real-time factor.

        Raises ConfigError if the sampler does not support the model's process.
        """

    def reference(self, work: MeasurementLog, name: str) -> Mapping[str, float | None]:
        """The metrics of a reference, measured unless they are in the log."""
        if name not in work.done:
            scores, rtf = self.measure_reference(name)
            work.add(name, {"spec": None, "scores": scores, "rtf": rtf})
        return work.done[name]["scores"]

    def once(self, work: MeasurementLog, setting: Setting) -> Measured:
        """The measurement of a setting, unless it is in the log; `refused` if it is not possible."""
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

    def numbers(self, found: Mapping[str, float]) -> Metrics:
        """The metrics of the table among those found; None for values that are not finite."""
        return {
            c.key: float(found[c.key]) if math.isfinite(found[c.key]) else None
            for c in self.columns
            if c.key in found
        }
