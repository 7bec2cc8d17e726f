"""HiFi-GAN's generator (Kong et al. 2020), versions 1 to 3."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.importing.base import Imported, Options, Renamed, Weights, fitted

DEFAULTS: dict[str, Any] = {
    "resblock": "1",
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "num_mels": 80,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
}
#: further entries of the published configuration files
_OTHER = (
    "num_gpus batch_size learning_rate adam_b1 adam_b2 lr_decay seed segment_size num_freq "
    "fmax_for_loss num_workers dist_config"
).split()
KNOWN: dict[str, Any] = {**DEFAULTS, **dict.fromkeys(_OTHER)}


def convert(weights: Weights, given: dict[str, Any], at: str) -> Imported:
    """A generator, with weight norm (`weight_g`, `weight_v`) or without. Options: its config.json."""
    options = Options("hifigan", KNOWN, given)
    mel = MelSpec(
        sample_rate=options["sampling_rate"],
        n_fft=options["n_fft"],
        hop=options["hop_size"],
        win=options["win_size"],
        n_mels=options["num_mels"],
        fmin=float(options["fmin"]),
        fmax=float(options["fmax"] or options["sampling_rate"] / 2),
    )
    spec = {
        "name": "hifigan",
        "spec": mel,
        "rates": tuple(options["upsample_rates"]),
        "kernels": tuple(options["upsample_kernel_sizes"]),
        "channels": options["upsample_initial_channel"],
        "block_kernels": tuple(options["resblock_kernel_sizes"]),
        "block_dilations": tuple(map(tuple, options["resblock_dilation_sizes"])),
        "block": int(options["resblock"]),
    }
    part = fitted("vocoder", "vocoder", spec, without_norms(weights), _modules(spec), at)
    return Imported([part], stft=asdict(mel))


def without_norms(weights: Weights) -> Weights:
    """The weights without weight norm: weight = g v / |v|, the norm over all but the first axis."""
    result: Weights = {}
    for name, tensor in weights.items():
        if name.endswith(("weight_v", ".parametrizations.weight.original1")):
            base, g = _norm_of(name)
            result[f"{base}weight"] = _product(weights[g], tensor)
        elif not name.endswith(("weight_g", ".parametrizations.weight.original0")):
            result[name] = tensor
    return result


def _norm_of(name: str) -> tuple[str, str]:
    if name.endswith("weight_v"):
        return name.removesuffix("weight_v"), name.removesuffix("v") + "g"
    base = name.removesuffix("parametrizations.weight.original1")
    return base, name.removesuffix("1") + "0"


def _product(g: Tensor, v: Tensor) -> Tensor:
    return v * (g / torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True))


def _modules(spec: dict[str, Any]):
    yield Renamed("conv_pre", "enter")
    yield Renamed("conv_post", "leave")
    kernels = len(spec["block_kernels"])
    for i in range(len(spec["rates"])):
        yield Renamed(f"ups.{i}", f"stages.{i}.grow")
        for j in range(kernels):
            old, new = f"resblocks.{i * kernels + j}", f"stages.{i}.blocks.{j}"
            if spec["block"] == 1:
                yield Renamed(f"{old}.convs1", f"{new}.dilated")
                yield Renamed(f"{old}.convs2", f"{new}.plain")
            else:
                yield Renamed(f"{old}.convs", f"{new}.dilated")
