"""Reading in a process of its own: a file that makes its parser crash, hang or swallow memory costs that file only.

A process is started when the first file must be read, and is kept for a while afterwards. It imports the readers and
nothing else, has an environment without our secrets, and is told the file and its limits over a pipe; documents
come back as JSON (`ingest.readers.process.wire`). It is started anew rather than forked: the page's process has
threads and models, which a fork would copy in whatever state they are.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path

from ingest.readers.process.wire import Message
from ingest.readers.process.worker_handle import Worker
from ingest.readers.source import Limits
from ingest.records import Document, Unread

# An idle process holds some 50 MB; the next ingest often follows at once, or not for a long time.
KEEP_SECONDS = 60.0


class SpareWorker:
    """The process that is kept for the next file, and for how long."""

    def __init__(self) -> None:
        """None is kept yet."""
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._timer: threading.Timer | None = None

    def take(self) -> Worker:
        """The spare one, else a new one."""
        with self._lock:
            worker, self._worker = self._worker, None
            if self._timer is not None:
                self._timer.cancel()
        if worker is not None and not worker.alive:
            worker.close()
            worker = None
        return worker or Worker()

    def give_back(self, worker: Worker) -> None:
        """Keep it, if it is any good and there is none yet."""
        with self._lock:
            if worker.alive and self._worker is None:
                self._worker = worker
                self._timer = threading.Timer(KEEP_SECONDS, self.close)
                self._timer.daemon = True
                self._timer.start()
                return
        worker.close()

    def close(self) -> None:
        """End the spare one."""
        with self._lock:
            worker, self._worker = self._worker, None
            if self._timer is not None:
                self._timer.cancel()
        if worker is not None:
            worker.close()

    def forget(self) -> None:
        """In a forked child: the process is the parent's, to use and to end."""
        self.__init__()  # type: ignore[misc]


_spare = SpareWorker()
atexit.register(_spare.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_spare.forget)


def read_in_worker(
    path: Path,
    *,
    name: str,
    key: str,
    limits: Limits,
    passwords: Sequence[str] = (),
    cancelled: Callable[[], bool] = lambda: False,
    on_page: Callable[[int, int], None] = lambda page, pages: None,
) -> Generator[Document | Unread, None, None]:
    """As `read_documents`, in a process of its own that is held to ``limits`` and can be lost.

    ``cancelled`` is asked while the process works. ``on_page`` is told which page of how many is read next, where one
    takes seconds.

    Raises:
        ReadError: as `read_documents`; also `TooLargeError` where it took too long or too much memory, and
            `DamagedFileError` where the process was lost. The next file is read by a new one.
        CancelledError: ``cancelled`` said yes.
    """
    request: Message = {
        "path": str(path.absolute()), "name": name, "key": key, "limits": asdict(limits),
        "passwords": list(passwords), "log_level": logging.getLogger("ingest").getEffectiveLevel(),
    }  # fmt: skip
    worker = _spare.take()
    try:
        yield from worker.documents(request, limits.max_seconds, cancelled, on_page)
    finally:
        _spare.give_back(worker)
