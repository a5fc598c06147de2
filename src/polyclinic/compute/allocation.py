"""How this process allocates memory."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
KEPT_BYTES, LARGEST_KEPT_BYTES = 128 << 20, 32 << 20
"""Freed memory that a process keeps, and the largest block of it: the maximum that glibc allows."""


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks for the next ones; return whether it does. Other C libraries do not.

    By default glibc returns freed memory to the system above twice the size of the largest array freed so far, and the
    system clears its pages anew for the next arrays. The layers of a network allocate and free arrays all the time:
    this took a third of the time of encoding an image.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES) and libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
