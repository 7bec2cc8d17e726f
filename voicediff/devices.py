"""Choice of the device of a model by name."""

from __future__ import annotations

import torch

from voicediff.errors import ConfigError


def chosen(name: str | None = None, option: str = "--device") -> torch.device:
    """The device called `cpu`, `cuda`, `cuda:1` or `mps`; None: a CUDA GPU if there is one, else the CPU.

    Apple's GPU (`mps`) is used only if it is named. Raises ConfigError, naming `option`, for a
    device that does not exist on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in _COUNTS:
        raise ConfigError(f"{option}: expected cpu, cuda, cuda:N or mps, found {name!r}")
    count = _COUNTS[device.type]()
    if count == 0:
        raise ConfigError(f"{option} {name}: torch finds no such device on this machine; use cpu")
    if (device.index or 0) >= count:
        raise ConfigError(f"{option} {name}: the last one is {device.type}:{count - 1}")
    return device


_COUNTS = {
    "cpu": lambda: 1,
    "cuda": lambda: torch.cuda.device_count(),
    "mps": lambda: int(torch.backends.mps.is_available()),
}
