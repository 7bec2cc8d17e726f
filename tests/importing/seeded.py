"""Weights that are the same on every machine, from names, shapes and a seed."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

FIXTURES = Path(__file__).parents[1] / "fixtures" / "importing"


def seeded(shapes: dict[str, list[int]], seed: int) -> dict[str, torch.Tensor]:
    """Normal weights, scaled by 1 / sqrt(fan in); norms near one, biases and gates near zero."""
    return {name: _seeded(name, tuple(shape), seed) for name, shape in shapes.items()}


def _seeded(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    key = np.array([zlib.crc32(name.encode()), seed], dtype=np.uint64)
    drawn = np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        drawn = 0.5 + np.abs(drawn)
    elif len(shape) > 1 and not name.endswith("weight_g"):
        drawn = drawn / np.float32(np.sqrt(np.prod(shape[1:])))
    elif name.endswith("fn.g"):
        drawn = np.float32(0.03) * drawn  # larger ones make the attention chaotic
    elif not name.endswith(".W"):
        drawn = np.float32(0.1) * drawn + np.float32(name.endswith(("weight", "gamma", "weight_g")))
    return torch.from_numpy(np.asarray(drawn, dtype=np.float32))


def fixture(case: str) -> tuple[dict, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The fixture of a case: its description, the reference's weights, and tensors."""
    with np.load(FIXTURES / f"{case}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(str(arrays.pop("meta")))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return meta, seeded(meta["shapes"], meta["seed"]), tensors
