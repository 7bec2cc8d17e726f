"""A device that behaves like Apple's GPU where this project is concerned: it holds no float64.

Its tensors are computed on the CPU but claim to be on torch's device `meta`, the only one besides
the CPU that every build of torch knows. As on a GPU, tensors of the CPU do not mix with them.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from voicediff.networks import precision
from voicediff.training import meter

DEVICE = torch.device("meta")
WIDE = (torch.float64, torch.complex128)
COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


class OnGPU(Tensor):
    """A tensor of the device; `held` is its content."""

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGPU:
        if held.dtype in WIDE:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        with torch.inference_mode(False):  # such tensors could not be views of others
            return torch.Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=DEVICE,
            )

    def __init__(self, held: Tensor):
        self.held = held

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None) -> Any:
        return computed(func, args, kwargs or {})


class AppleGPU(TorchDispatchMode):
    """Within the block tensors may be made on DEVICE and moved to it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: tuple, kwargs: dict) -> Any:
    """The function on the contents; tensors that it makes on the device become its tensors."""
    with AppleGPU():
        found = func.decompose(*args, **kwargs)  # to functions that name their device
    if found is not NotImplemented:
        return found
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    ours = [isinstance(x, OnGPU) for x in tensors]
    if any(ours) and func not in COPIES:
        strangers = [x for x, our in zip(tensors, ours, strict=True) if not our and x.dim()]
        if strangers:
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    wanted = kwargs.get("device")
    there = any(ours) if wanted is None else torch.device(wanted) == DEVICE
    if func is torch.ops.aten.copy_.default:
        there = ours[0]
    held = tree_map_only(OnGPU, lambda x: x.held, (args, kwargs))
    if wanted is not None:
        held[1]["device"] = torch.device("cpu")
    if kwargs.get("dtype") in WIDE and there:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
    out = func(*held[0], **held[1])
    if not there:
        return out
    if torch.Tag.inplace_view in func.tags:  # such as transpose_: changes our shape too
        with no_dispatch():
            func(*args, **kwargs)
    known = {id(x.held): x for x in tensors if isinstance(x, OnGPU)}  # changed in place
    return tree_map_only(Tensor, lambda x: known[id(x)] if id(x) in known else OnGPU(x), out)


def named_mps(function: Any) -> Any:
    """A function of torch that takes a device type first, such as `torch.autocast`."""

    def called(device: str, *args: Any, **kwargs: Any) -> Any:
        return function("mps" if device == DEVICE.type else device, *args, **kwargs)

    return called


def pretend(monkeypatch: pytest.MonkeyPatch) -> AppleGPU:
    """Have the program take DEVICE for Apple's GPU within the block."""
    for module in (precision, meter):
        monkeypatch.setattr(module, "has_float64", named_mps(precision.has_float64))
    for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):
        monkeypatch.setattr(torch, name, named_mps(getattr(torch, name)))
    return AppleGPU()
