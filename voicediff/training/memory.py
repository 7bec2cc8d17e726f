"""Reuse of freed memory from one training step to the next."""

from __future__ import annotations

import ctypes
import platform

# of glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = (
    2**31 - 1,
    32 * 2**20,
)  # bytes; the second is the largest value that glibc accepts


def retain_freed_memory() -> bool:
    """Keep freed memory in this process; returns whether that was possible (Linux with glibc).

    By default glibc returns large blocks to the system and requests them again in every step, and
    the system clears each page.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_MMAP_THRESHOLD, _LARGEST)])
