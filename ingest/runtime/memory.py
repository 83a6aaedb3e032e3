"""Memory that this process no longer needs, given back to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable
from time import monotonic

# Between two times that the memory of many small jobs is given back: what the next one gets anew costs it some
# milliseconds.
SECONDS_BETWEEN = 10.0

_lock = threading.Lock()
_last = [-SECONDS_BETWEEN]


def give_back() -> None:
    """Hand back what was freed but is still held; where the system's C library cannot, do nothing.

    glibc keeps freed memory for the next request, and between pieces that are in use keeps it for ever: after a model
    was loaded, or its graph made, that is more than the model itself (docs/performance.md). A few milliseconds.
    """
    if (trim := _trim()) is not None:
        trim(0)


def give_back_at_times() -> None:
    """`give_back`, but only where that was not done in the last `SECONDS_BETWEEN`; for any number of threads."""
    with _lock:
        if monotonic() - _last[0] < SECONDS_BETWEEN:
            return
        _last[0] = monotonic()
    give_back()


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
