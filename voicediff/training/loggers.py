"""Loggers: outputs for the scalars, pictures and sounds of a training."""

from __future__ import annotations

import csv
import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

from voicediff.optional import require
from voicediff.registry import register
from voicediff.tasks.base import Preview


class Logger(ABC):
    """One output. The constructor only stores options; `open` accesses the disk."""

    def describe(self, config: dict[str, Any]) -> None:  # noqa: B027
        """Receive the resolved configuration of the training, before `open`."""

    @abstractmethod
    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        """Start, or resume after `step` with the `state()` of its checkpoint."""

    @abstractmethod
    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Log named values of the split `train`, `dev` or `sample`."""

    def preview(self, step: int, preview: Preview) -> None:  # noqa: B027
        """Log pictures and sounds, if the output supports them."""

    def state(self) -> dict[str, Any]:
        """State for the checkpoint; earlier records must be on the disk when this returns."""
        return {}

    def end(self) -> None:  # noqa: B027
        """Called after the last step and its checkpoint; `close` follows."""

    def close(self) -> None:  # noqa: B027
        """Close files and connections."""


@register("logger", "csv")
class Csv(Logger):
    """`log.csv` with the columns step, split, name, value; always written."""

    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        self.path = folder / "log.csv"
        with open(self.path, "ab") as file:
            file.truncate(state.get("size", 0))
        self.file = open(self.path, "a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file, lineterminator="\n")
        if not state.get("size"):
            self.writer.writerow(["step", "split", "name", "value"])

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        self.writer.writerows([step, split, name, f"{v:.8g}"] for name, v in values.items())
        self.file.flush()

    def state(self) -> dict[str, Any]:
        self.file.flush()
        os.fsync(self.file.fileno())
        return {"size": self.path.stat().st_size}

    def close(self) -> None:
        self.file.close()


@register("logger", "tensorboard")
class TensorBoard(Logger):
    """TensorBoard files in `tensorboard/`, with pictures and sounds."""

    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        require("tensorboard", purpose="logger tensorboard")
        tensorboard = require("torch.utils.tensorboard", purpose="logger tensorboard")
        purge = step + 1 if step else None  # hides records of a killed run after its checkpoint
        self.writer = tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, step)

    def preview(self, step: int, preview: Preview) -> None:
        for name, picture in preview.pictures.items():
            self.writer.add_image(name, picture, step, dataformats="HWC")
        for name, sound in preview.sounds.items():
            self.writer.add_audio(name, sound[None], step, sample_rate=preview.sample_rate)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


@register("logger", "wandb")
class WandB(Logger):
    """Weights & Biases: configuration, scalars, pictures, sounds, validation table and weights.

    Args:
        project: name of the project.
        run: name of the run; None takes the name of the experiment folder.
        mode: `offline` writes to `wandb/` and needs no network or account; `wandb sync` uploads it.

    W&B ignores `resume` offline, so a training that is resumed offline starts a new run. Its group is
    the id of the first run, and `resumed_from` in its configuration gives the run and the step that
    it continues. A record cannot be deleted offline. Records are therefore written when a
    checkpoint is saved, so that a killed training leaves no steps that the resumed training repeats.
    A kill within a second after a checkpoint may lose the records since the previous one.
    Online the same run is resumed.
    """

    def __init__(
        self,
        project: str = "voicediff",
        run: str | None = None,
        mode: Literal["online", "offline"] = "offline",
    ):
        self.project, self.name, self.mode = project, run, mode
        self.config: dict[str, Any] = {}

    def describe(self, config: dict[str, Any]) -> None:
        self.config = config

    def open(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        self.wandb = require("wandb", purpose="logger wandb")
        self.folder, self.run = folder, None
        self.waiting: dict[int, dict[str, Any]] = {}  # by step
        continued = state.get("id")
        offline = self.mode == "offline"
        self.id = continued if continued and not offline else secrets.token_hex(4)
        self.group = state.get("group", self.id)
        if continued and offline:
            self.config = self.config | {"resumed_from": {"run": continued, "step": step}}
        if not offline:
            self._begin("allow")

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        self._log(step, {f"{split}/{name}": value for name, value in values.items()})

    def preview(self, step: int, preview: Preview) -> None:
        pictures = {n: self.wandb.Image(p, file_type="png") for n, p in preview.pictures.items()}
        sounds = {
            name: self.wandb.Audio(sound, sample_rate=preview.sample_rate)
            for name, sound in preview.sounds.items()
        }
        self._log(step, pictures | sounds)

    def state(self) -> dict[str, Any]:
        self._write()
        return {"id": self.id, "group": self.group}

    def end(self) -> None:
        """Log the table of validation metrics, and the last and best weights as artefacts."""
        self._write()
        if self.run is None:  # no steps were left
            return
        table = _validation(self.folder / "log.csv")
        self.run.summary["validation"] = self.wandb.Table(**table)
        for name in ("last", "best"):
            if (self.folder / f"{name}.safetensors").is_file():
                self.run.log_artifact(self._artefact(name), aliases=[name])

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()

    def _begin(self, resume: str | None = None) -> None:
        settings = self._settings()
        self.wandb.setup(settings)  # without it artefacts contact a server even offline
        self.run = self.wandb.init(
            project=self.project,
            name=self.name or self.folder.name,
            dir=str(self.folder),
            settings=settings,
            config=self.config,
            id=self.id,
            group=self.group,
            resume=resume,
        )

    def _settings(self) -> Any:
        """Offline the file is written every second: W&B's 15 s are lost where a process is killed."""
        settings = self.wandb.Settings(mode=self.mode)
        if "x_transaction_log_flush_interval" in type(settings).model_fields:
            settings.x_transaction_log_flush_interval = 1.0
        return settings

    def _log(self, step: int, values: dict[str, Any]) -> None:
        if self.mode == "online":
            self.run.log(values, step=step)
        else:
            self.waiting.setdefault(step, {}).update(values)

    def _write(self) -> None:
        """Write the waiting records; the first time this starts the run."""
        if self.waiting and self.run is None:
            self._begin()
        for step, values in self.waiting.items():
            self.run.log(
                values, step=step, commit=True
            )  # W&B loses an uncommitted step when the process is killed
        self.waiting.clear()

    def _artefact(self, name: str) -> Any:
        """The files for `voicediff.experiment.load`, with the weights `name`."""
        artefact = self.wandb.Artifact(f"model-{self.group}", type="model")
        artefact.add_file(str(self.folder / f"{name}.safetensors"))
        artefact.add_file(str(self.folder / "config.yaml"))
        for part in ("assets", "parts"):
            if (self.folder / part).is_dir():
                artefact.add_dir(str(self.folder / part), name=part)
        return artefact


def _validation(log: Path) -> dict[str, list]:
    """`columns` and `data` of a table with a row per validation, from the whole `log.csv`."""
    rows: dict[int, dict[str, float]] = {}
    with open(log, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["split"] != "train":
                figures = rows.setdefault(int(line["step"]), {})
                figures[f"{line['split']}/{line['name']}"] = float(line["value"])
    names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    data = [[step, *map(figures.get, names)] for step, figures in rows.items()]
    return {"columns": ["step", *names], "data": data}
