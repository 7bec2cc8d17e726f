"""bfloat16 where it pays: on processors that have instructions for it."""

from __future__ import annotations

import contextlib
import functools
import platform

import torch


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether `device` ("cpu", "cuda" ...) multiplies matrices in bfloat16 by instructions of its own.

    Without them it is computed by conversion: on an x86 processor that lacks AVX512-BF16 and AMX a
    training step takes ten times as long as in float32.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def bfloat16(device: str, wanted: bool) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where it is wanted and `device` has it, else nothing."""
    if wanted and has_bfloat16(device):
        return torch.autocast(device, torch.bfloat16)
    return contextlib.nullcontext()
