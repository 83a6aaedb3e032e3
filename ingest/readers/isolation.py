"""Reading in a process of its own: a file that makes its parser crash, hang or swallow memory costs that file only.

A process is started when the first file must be read, and is kept for a while afterwards. It imports the readers and
nothing else, has an environment without our secrets, and is told the file and its limits over a pipe; documents
come back as JSON (`ingest.readers.wire`). It is started anew rather than forked: the page's process has threads and
models, which a fork would copy in whatever state they are.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path

from ingest.readers.source import Limits
from ingest.readers.spare import SpareWorker
from ingest.readers.wire import Message
from ingest.records import Document

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
) -> Generator[Document, None, None]:
    """As `read_documents`, in a process of its own that is held to ``limits`` and can be lost.

    ``cancelled`` is asked while the process works.

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
        yield from worker.documents(request, limits.max_seconds, cancelled)
    finally:
        _spare.give_back(worker)
