"""The process that reads files and cuts texts: parses what strangers wrote, and can be lost without loss.

`ingest.readers.process.client` starts it and hands it one file after the other, `ingest.readers.process.cutting` one
text. It answers on its standard output with the documents of the file, one frame each, or where the text is cut, then
with how it ended. It ends itself when its parent does.

Limits: on Linux the kernel refuses memory beyond `Limits.max_memory_bytes` (RLIMIT_DATA); on all POSIX systems
processor time is bounded (RLIMIT_CPU), so that not even an orphan in an endless loop stays.
macOS has RLIMIT_DATA and does not enforce it, and Windows has none of these: there the time limit of the parent
holds, and the loss of this process costs one file as everywhere.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ingest.errors import DamagedFileError, ReadError
from ingest.readers.process.wire import Message, receive, send, to_wire
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits, explain
from ingest.records import Heading, Unread

if TYPE_CHECKING:
    from ingest.chunker import Chunker

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# A process that holds more than this after a file is replaced, so that one large file is not paid for by all others.
_HOLDS_TOO_MUCH = 300_000_000


def main() -> None:
    """Answer requests until the parent closes our standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is heard by the parent, which decides
    requests, replies = _channel()
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    logging.getLogger().addHandler(_ToParent(replies))
    while True:
        _answer(inbox.get(), replies)


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """Requests and replies as private streams: what a parser prints must not stand between frames."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    return requests, replies


def _listen(requests: BinaryIO, inbox: queue.SimpleQueue[Message]) -> None:
    while (request := receive(requests)) is not None:
        inbox.put(request)
    os._exit(0)  # the parent is gone, whatever the main thread is doing


class _ToParent(logging.Handler):
    """Log records become frames: the parent's log is where people look."""

    def __init__(self, replies: BinaryIO) -> None:
        super().__init__()
        self._replies = replies

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if record.exc_info:
            words += "\n" + "".join(traceback.format_exception(*record.exc_info))
        send(self._replies, {"log": [record.name, record.levelno, words]})


def _answer(request: Message, replies: BinaryIO) -> None:
    """Read one file, or cut one text: a frame for each part, then one with ``end``: how it ended."""
    logging.getLogger().setLevel(request["log_level"])
    limits, name = Limits(**request["limits"]), request["name"]
    _confine(limits)
    try:
        for part in _cut(request) if "cut" in request else _read(request, limits, replies):
            send(replies, part)
            _allow_seconds(limits.max_seconds)
        end, words = "", ""
    except (
        ReadError
    ) as error:  # its words are kept, not the error: in a ring with this frame it held the whole text
        end, words = type(error).__name__, str(error)
    except Exception as error:  # a fault of a reader costs the file, and the log says where it is
        logging.getLogger(__name__).exception("reading %s failed", name)
        end, words = (
            DamagedFileError.__name__,
            (
                f"{name} could not be read: its reader stopped with {explain(error)}; open it in the program that made "
                "it, save it again, and add that."
            ),
        )
    send(replies, {"end": end, "message": words, "retire": _holds_too_much()})


def _read(request: Message, limits: Limits, replies: BinaryIO) -> Iterator[Message]:
    path, passwords = Path(request["path"]), request["passwords"]

    def on_page(page: int, pages: int) -> None:
        """Each page has the time of a file: what is recognized takes seconds a page."""
        send(replies, {"page": [page, pages]})
        _allow_seconds(limits.max_seconds)

    documents = read_documents(
        path, name=request["name"], key=request["key"], limits=limits, passwords=passwords, on_page=on_page
    )
    for part in documents:
        yield {"unread": asdict(part)} if isinstance(part, Unread) else {"document": to_wire(part)}


_chunkers: list[Chunker] = []  # the one that was handed over last


def _cut(request: Message) -> Iterator[Message]:
    if "cutter" in request:
        # Of no use where files are read, which wait for this process to start.
        from tokenizers import Tokenizer

        from ingest.chunker import Chunker

        tokenizer, tokens = request.pop("cutter")
        _chunkers[:] = [Chunker(Tokenizer.from_str(tokenizer), tokens)]
        _expected[:] = [_held()]
    headings = [Heading(**heading) for heading in request["headings"]]
    spans = _chunkers[0].spans(request["cut"], headings)
    yield {"spans": spans}


def _confine(limits: Limits) -> None:
    """Have the kernel hold this process to memory and processor time; a crash leaves no core file."""
    if resource is not None:
        _lower(resource.RLIMIT_DATA, limits.max_memory_bytes)
        _lower(resource.RLIMIT_CORE, 0)
    _allow_seconds(limits.max_seconds)


def _allow_seconds(seconds: float) -> None:
    """Bound processor time from now on, far beyond what the parent waits for: it is for orphans."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + 2 * seconds) + 60)


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


_expected = [0]  # bytes that this process holds for a cutter


def _holds_too_much() -> bool:
    """Whether this process keeps much memory although no file is in hand."""
    return _held() - _expected[0] > _HOLDS_TOO_MUCH


def _held() -> int:
    """Bytes of memory that this process holds; unknown, so none, where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
