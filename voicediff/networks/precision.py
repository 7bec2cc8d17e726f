"""Number formats that are not available on every device: bfloat16 and float64."""

from __future__ import annotations

import contextlib
import functools
import platform

import torch
from torch import Tensor


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether `device` ("cpu", "cuda" ...) has instructions for matrix products in bfloat16.

    Without them bfloat16 is emulated: on an x86 processor without AVX512-BF16 and AMX a training
    step takes ten times as long as in float32.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return device != "mps"  # only newer Apple GPUs have it, and torch has no query for it
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def bfloat16(device: str, wanted: bool) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 if `wanted` and supported by `device`, else a null context."""
    if wanted and has_bfloat16(device):
        return torch.autocast(device, torch.bfloat16)
    return contextlib.nullcontext()


def has_float64(device: str) -> bool:
    """Whether `device` ("cpu", "mps" ...) supports float64 tensors; Apple's GPUs do not."""
    return device != "mps"


def widened(x: Tensor) -> Tensor:
    """x in float64, on its device, or on the CPU if its device has no float64.

    For small tensors such as the times of a batch, and for accumulated phases.
    """
    return x.double() if has_float64(x.device.type) else x.cpu().double()


def narrowed(x: Tensor, like: Tensor) -> Tensor:
    """x with dtype and device of `like`: the inverse of `widened`."""
    return x.to(like.dtype).to(like.device)
