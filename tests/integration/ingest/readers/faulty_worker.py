"""The reading process with a reader of plain text that does as the file says: crash, hang, leak, swallow memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from ingest.readers import text
from ingest.readers.process import worker
from ingest.readers.source import Source
from ingest.records import Document


def read_text(source: Source) -> Iterator[Document]:
    said = source.data().decode()
    what, _, how = said.partition(" ")
    if what == "signal":
        os.kill(os.getpid(), int(how))
    elif what == "exit":
        os._exit(int(how))
    elif what == "hang":
        time.sleep(600)
    elif what == "eat":
        held = bytearray(int(how))
        raise AssertionError(f"{len(held)} bytes were given")
    elif what == "nonsense":
        os.write(_replies(), b"\xff" * 64)
    elif what == "fault":
        raise LookupError(how)
    elif what == "leak":
        _leak(how.partition(" ")[0], said)
    elif what == "print":
        print(how * 1000, flush=True)
        os.system(f"echo {how}")
    yield source.document("text", "", said)


_LEAKED: list[object] = []


def _leak(what: str, said: str) -> None:
    """Leave something behind that a reader should not: a process waits for good, a thread for an hour."""
    if what == "file":
        os.open(os.devnull, os.O_RDONLY)
    elif what == "thread":
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    elif what == "child":
        _LEAKED.append(subprocess.Popen(["true"]))  # ended, and never waited for
    elif what == "memory":
        _LEAKED.append(said.encode())


def _replies() -> int:
    """The descriptor of the pipe to the parent: the last one that was opened before any file."""
    return max(number for number in range(3, 20) if _is_pipe(number))


def _is_pipe(number: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")
    except OSError:
        return False


text.read_text = read_text

if __name__ == "__main__":
    sys.exit(worker.main())
