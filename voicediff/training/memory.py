"""Memory that a training frees and wants again in its next step."""

from __future__ import annotations

import ctypes
import platform

# of glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, 32 * 2**20  # bytes; the second is the most that glibc takes


def keep_freed() -> bool:
    """Let this process keep what it frees; whether that was possible (Linux with glibc).

    Otherwise every step hands megabytes back to the system and asks for them again, now more and now
    less, and the system clears each page anew.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_MMAP_THRESHOLD, _LARGEST)])
