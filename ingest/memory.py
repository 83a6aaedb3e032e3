"""Memory that this process no longer needs, given back to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable


def give_back() -> None:
    """Hand back what was freed but is still held; where the system's C library cannot, do nothing.

    glibc keeps freed memory for the next request, and between pieces that are in use keeps it for ever: after a model
    was loaded, or its graph made, that is more than the model itself (docs/performance.md). A few milliseconds.
    """
    if (trim := _trim()) is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
