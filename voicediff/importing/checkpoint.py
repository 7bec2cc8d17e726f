"""Reading of checkpoint files without execution of code in them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voicediff.errors import DataError
from voicediff.importing.base import Weights

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class _Inert:
    """Placeholder for a class that a checkpoint refers to; it does nothing."""

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint file, read with `weights_only`, or of a safetensors file.

    Classes of the project that wrote the file (such as a data module among Lightning's
    hyper-parameters) are replaced by inert placeholders. DataError for unreadable files.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = _load(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path}: not a checkpoint that can be read safely - {why}") from error
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: holds a {type(content).__name__}, not a dictionary of weights")
    return dict(content)


def weights_of(checkpoint: Mapping[str, Any], ema: bool, at: str) -> Weights:
    """The state dict of a checkpoint: itself, or its entry `state_dict`, `model` or `generator`.

    With `ema`, the averages of torch_ema (`checkpoint["ema"]["shadow_params"]`) replace the weights.
    """
    weights: Any = checkpoint
    for key in ("state_dict", "generator", "model"):
        if isinstance(checkpoint.get(key), Mapping):
            weights = checkpoint[key]
            break
    weights = {n: t for n, t in weights.items() if isinstance(t, Tensor)}
    if not weights:
        raise DataError(f"{at}: no weights found; keys are {', '.join(map(str, checkpoint))}")
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): t for name, t in weights.items()}
    shadow = checkpoint.get("ema", {}).get("shadow_params") if ema else None
    return _averaged(weights, shadow, at) if shadow else weights


def _load(path: Path) -> Any:
    placeholders = []
    if zipfile.is_zipfile(path):
        mentioned = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        placeholders = [(type("Inert", (_Inert,), {}), name) for name in mentioned]
    with torch.serialization.safe_globals(placeholders):
        return torch.load(path, map_location="cpu", weights_only=True)


def _averaged(weights: Weights, shadow: list[Tensor], at: str) -> Weights:
    """The weights with parameters replaced by the averages, which are in order but without names."""
    parameters = [n for n in weights if not n.endswith(_BUFFERS)]
    trained = [n for n in parameters if not n.endswith("all_modules.0.W")]
    for names in (parameters, trained):
        if [weights[n].shape for n in names] == [s.shape for s in shadow]:
            return {**weights, **dict(zip(names, shadow, strict=True))}
    raise DataError(
        f"{at}: {len(shadow)} averaged weights do not match {len(parameters)} parameters; "
        "import the raw weights"
    )
