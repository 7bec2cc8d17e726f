"""Weights as safetensors, raw and averaged, with hashes of the assets of the training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from voicediff.errors import DataError
from voicediff.files import replacing
from voicediff.tasks.base import Task


def weights_path(folder: Path, weights: str = "") -> Path:
    """The file of `best` or `last` weights; by default `best` if it exists."""
    if weights:
        return folder / f"{weights}.safetensors"
    for name in ("best", "last"):
        if (folder / f"{name}.safetensors").is_file():
            return folder / f"{name}.safetensors"
    raise DataError(f"{folder}: has no weights (best.safetensors or last.safetensors is missing)")


def weights_hash(folder: str | Path) -> str:
    """Hash of the weights that `load` uses by default, twelve hexadecimal digits."""
    return hashlib.sha256(weights_path(Path(folder)).read_bytes()).hexdigest()[:12]


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
        raise DataError(f"{path}: has no {which} weights of voicediff")
    return tensors, {"step": int(about["step"]), "assets": json.loads(about["assets"])}


def write_weights(
    path: Path, raw: Mapping[str, Tensor], ema: Mapping[str, Tensor], step: int, assets: Path
) -> None:
    """Write raw and averaged weights to one safetensors file, with hashes of the assets."""
    tensors = {f"raw/{name}": _stored(tensor) for name, tensor in raw.items()}
    tensors |= {f"ema/{name}": _stored(tensor) for name, tensor in ema.items()}
    about = {"step": str(step), "assets": json.dumps(fingerprints(assets))}
    with replacing(path) as file:
        file.write(safetensors_torch.save(tensors, about))


def fit_weights(task: Task, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load weights that must fit exactly; DataError names the first mismatches."""
    wrong = mismatches(task, tensors)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DataError(f"{source}: does not fit its configuration: {'; '.join(wrong[:3])}{more}")
    task.load_state_dict(dict(tensors))


def mismatches(task: Task, tensors: Mapping[str, Tensor]) -> list[str]:
    """Weights that are missing, not part of the task, or of another shape."""
    own = task.state_dict()
    found = [f"{name} is missing" for name in own if name not in tensors]
    found += [f"{name} is not part of the model" for name in tensors if name not in own]
    for name in own.keys() & tensors.keys():
        if own[name].shape != tensors[name].shape:
            here, there = tuple(own[name].shape), tuple(tensors[name].shape)
            found.append(f"{name} is {there}, the model has {here}")
    return sorted(found)


def load_matching(task: Task, folder: Path) -> list[str]:
    """For fine-tuning: load the weights that fit from another experiment; returns the mismatches."""
    tensors, _ = read_weights(weights_path(folder), "ema")
    own = task.state_dict()
    same = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    if not same:
        raise DataError(f"{folder}: none of its weights fits this configuration")
    left_out = mismatches(task, tensors)
    task.load_state_dict(same, strict=False)
    return left_out


def fingerprints(assets: Path) -> dict[str, str]:
    """SHA-256 of each file below the folder of assets."""
    files = sorted(path for path in assets.rglob("*") if path.is_file())
    return {
        str(path.relative_to(assets)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def check_assets(assets: Path, expected: Mapping[str, str], path: Path) -> None:
    """Raise DataError if an asset is missing or differs from the one of the training of `path`."""
    for name, digest in expected.items():
        if not (assets / name).is_file():
            raise DataError(f"{assets / name}: missing; {path.name} was trained with it")
        if hashlib.sha256((assets / name).read_bytes()).hexdigest() != digest:
            raise DataError(
                f"{assets / name}: differs from the one {path.name} was trained with; "
                "put the original back"
            )


def _stored(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
