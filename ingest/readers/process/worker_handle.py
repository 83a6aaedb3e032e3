"""One reading process and the pipe to it: what starts it, its answers, and how it ended where it was lost."""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, cast

from ingest import errors
from ingest.errors import CancelledError, DamagedFileError, ReadError, TooLargeError
from ingest.readers.process.wire import (
    BrokenFrameError,
    Message,
    from_wire,
    receive,
    send,
    spans_from_wire,
    unread_from_wire,
)
from ingest.readers.source import Limits
from ingest.records import Document, Unread

logger = logging.getLogger(__name__)

# -I, and the module path handed over: what can be imported here can be imported there, and nothing else.
_START = "import sys; sys.path[:] = sys.argv[1:]; from ingest.readers.process.worker import main; main()"
# Documents read ahead of the one in hand, from a file of many.
_AHEAD = 2
# How often a wait asks for a cancel, and how long a file that is no longer wanted may take to end by itself.
_ASK_SECONDS = 0.1
_SETTLE_SECONDS = 1.0


def command() -> list[str]:
    """What starts a reading process."""
    return [sys.executable, "-I", "-X", "utf8", "-c", _START, *sys.path]


@dataclass(frozen=True, slots=True)
class Cutter:
    """How texts are cut: the tokenizer as JSON, and tokens a chunk. Two of one ``id`` cut alike."""

    id: str
    tokenizer: str
    tokens: int


class _Lost(Exception):  # noqa: N818 (it never leaves this module)
    """The process ended, or said something that is no answer."""


class Worker:
    """One process that reads and cuts, and the pipe to it. Not for two threads at once."""

    def __init__(self) -> None:
        """Start the process; it is ready some tenths of a second later, which the first file waits for."""
        self._process = subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=None if os.name == "nt" else {},  # Windows needs some of it to start at all
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, from the first moment on
        )
        self._requests = cast("BinaryIO", self._process.stdin)
        self._frames: queue.Queue[Message | None] = queue.Queue(_AHEAD)
        self._pumping = threading.Thread(target=self._pump, args=(self._process.stdout,), daemon=True)
        self._pumping.start()
        self.usable = True
        self._cutter = ""  # the id of the one that was handed over

    @property
    def alive(self) -> bool:
        """Whether it can be given a file."""
        return self.usable and self._process.poll() is None

    def documents(
        self,
        request: Message,
        seconds: float,
        cancelled: Callable[[], bool],
        on_page: Callable[[int, int], None] = lambda page, pages: None,
    ) -> Generator[Document | Unread, None, None]:
        """The documents of one file, and what within it is not read. See `client.read_in_worker`."""
        for message in self._answers(request, "read", seconds, cancelled):
            if "document" in message:
                yield from_wire(message["document"])
            elif "unread" in message:
                yield unread_from_wire(message["unread"])
            elif "page" in message:
                page, pages = message["page"]
                on_page(int(page), int(pages))

    def spans(
        self,
        document: Document,
        cutter: Cutter,
        limits: Limits,
        cancelled: Callable[[], bool],
    ) -> list[tuple[int, int]]:
        """Where a document's text is cut. See `ingest.readers.process.cutting.WorkerChunker`."""
        request: dict[str, Any] = {
            "cut": document.text, "name": document.path, "limits": asdict(limits),
            "headings": [asdict(heading) for heading in document.headings],
            "log_level": logging.getLogger("ingest").getEffectiveLevel(),
        }  # fmt: skip
        if self._cutter != cutter.id:
            request["cutter"] = [cutter.tokenizer, cutter.tokens]
        spans: list[tuple[int, int]] = []
        for message in self._answers(request, "cut into passages", limits.max_seconds, cancelled):
            if "spans" in message:
                spans = spans_from_wire(message["spans"], len(document.text))
                self._cutter = cutter.id
        return spans

    def _answers(
        self, request: Message, doing: str, seconds: float, cancelled: Callable[[], bool]
    ) -> Generator[Message, None, None]:
        """What is answered to a request, up to its end, whose error is raised."""
        name = request["name"]
        late = f"{name} took longer than {seconds:g} seconds to {doing}"
        self.usable = False  # until the end was heard
        try:
            send(self._requests, request)
            while "end" not in (message := self._next(late, seconds, cancelled)):
                yield message
            self.usable = not message["retire"]
            _raise_end(message)
        except (OSError, BrokenFrameError, _Lost) as error:
            self.usable = False
            raise DamagedFileError(
                f"{name} could not be {doing}: the process that parsed it was lost ({self._fate()}), so the file is "
                "probably damaged; open it in the program that made it, save it again, and add that."
            ) from error
        except GeneratorExit:
            self._settle()
            raise

    def close(self) -> None:
        """End the process at once."""
        self.usable = False
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # a request that it never took may still be in the buffer
            self._requests.close()
        while self._pumping.is_alive():  # it may wait for room in the queue
            with suppress(queue.Empty):
                self._frames.get(timeout=_ASK_SECONDS)

    def _pump(self, replies: BinaryIO) -> None:
        """Frames into the queue, from a thread: a pipe cannot be waited on for a time on every system."""
        with replies:
            try:
                while (message := receive(replies)) is not None:
                    if "log" in message:
                        name, level, words = message["log"]
                        logger.log(level, "%s: %s", name, words)
                    else:
                        self._frames.put(message)
            except (BrokenFrameError, OSError, ValueError, TypeError) as error:
                logger.warning("a reading process spoke nonsense: %s", error)
            self._frames.put(None)

    def _next(self, late: str, seconds: float, cancelled: Callable[[], bool]) -> Message:
        deadline = time.monotonic() + seconds
        while True:
            try:
                message = self._frames.get(timeout=min(_ASK_SECONDS, seconds))
            except queue.Empty:
                if cancelled():
                    raise CancelledError(
                        "The ingest was stopped; what was finished before is kept."
                    ) from None
                if time.monotonic() > deadline:
                    raise TooLargeError(
                        f"{late} and was given up; split it into smaller files, or save it again from the program "
                        "that made it."
                    ) from None
                continue
            if message is None:
                raise _Lost
            return message

    def _settle(self) -> None:
        """Wait a little for the end of a file of which no more documents are wanted."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        try:
            while time.monotonic() < deadline:
                message = self._next("", _SETTLE_SECONDS, lambda: False)
                if "end" in message:
                    self.usable = not message["retire"]
                    return
        except (ReadError, _Lost):
            return  # it is not usable any more, and will be closed

    def _fate(self) -> str:
        """How the process ended, in words."""
        self._process.kill()  # where it did not, but spoke nonsense
        status = self._process.wait()
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _raise_end(message: Message) -> None:
    """Raise the error that a file ended with, if it ended with one."""
    if not message["end"]:
        return
    kind = getattr(errors, message["end"], None)
    if not (isinstance(kind, type) and issubclass(kind, ReadError)):
        raise BrokenFrameError(f"an error of the kind {message['end']!r}")
    raise kind(str(message["message"]))
