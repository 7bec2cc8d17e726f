"""Number formats that not every device has: bfloat16 and float64."""

from __future__ import annotations

import contextlib
import functools
import platform

import torch
from torch import Tensor


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether `device` ("cpu", "cuda" ...) multiplies matrices in bfloat16 by instructions of its own.

    Without them it is computed by conversion: on an x86 processor that lacks AVX512-BF16 and AMX a
    training step takes ten times as long as in float32.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return device != "mps"  # only newer Apple GPUs have it, and torch does not say which
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def bfloat16(device: str, wanted: bool) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where it is wanted and `device` has it, else nothing."""
    if wanted and has_bfloat16(device):
        return torch.autocast(device, torch.bfloat16)
    return contextlib.nullcontext()


def has_float64(device: str) -> bool:
    """Whether `device` ("cpu", "mps" ...) holds float64 tensors; Apple's GPUs do not."""
    return device != "mps"


def widened(x: Tensor) -> Tensor:
    """x in float64: where it is, or on the CPU where its device has no float64.

    Meant for small tensors such as times of a batch, and for phases that add up.
    """
    return x.double() if has_float64(x.device.type) else x.cpu().double()


def narrowed(x: Tensor, like: Tensor) -> Tensor:
    """x with the dtype of `like` on its device: the way back from `widened`."""
    return x.to(like.dtype).to(like.device)
