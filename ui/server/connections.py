"""How many connections are held, and how long one may wait: before the gate, where nobody is known yet.

Streamlit gives uvicorn none of its limits. A connection that asks for nothing, or for half of something, would be kept
for ever; some hundreds of them take all of a process's file descriptors, after which asyncio writes hundreds of
tracebacks a second about those that it cannot accept. Here one that waits too long is closed, and where too many wait,
the one that has waited longest makes room for the next: whoever asks at once is answered.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ui.server.access import is_loopback
from ui.server.passwords import neighbourhood

log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0  # for the head of a request to come whole, the first of a connection's or a later one
MOST_CONNECTIONS = 512  # in all; fewer where the process may not open twice as many files
AT_ONCE = 16  # connections that are accepted before what is held is looked at again
BACKLOG = 1024  # connections that the system keeps until they are accepted
QUIET_SECONDS = 60.0  # between two lines of log that say the same
QUIET_LOGS = ("ui.server.connections", "ui.server.gate", "uvicorn.error", "asyncio")
MOST_LINES = 1_000  # that are remembered


@dataclass(eq=False, slots=True)
class _Connection:
    """One that is open: whose, and whether it waits for a request."""

    socket: socket.socket
    address: str
    waits: bool = True


class Connections:
    """The open connections of a server, in the order in which they began to wait, or to be answered."""

    def __init__(self, most: int) -> None:
        self._most, self._most_of_one, self._most_waiting = most, most // 2, most // 8
        self._open: dict[int, _Connection] = {}  # by their file descriptors

    def take(self, accepted: socket.socket, address: str) -> bool:
        """Whether there is room for one that was accepted, and was noted; one that waits may have to go for it."""
        self._open = {file: one for file, one in self._open.items() if one.socket.fileno() == file}
        neighbours = neighbourhood(address)
        theirs = [one for one in self._open.values() if one.address == neighbours]
        # Everybody who comes by way of a proxy has its address, which is mostly this machine's.
        too_many = len(theirs) >= self._most_of_one and not is_loopback(address)
        if too_many or sum(one.waits for one in theirs) >= self._most_waiting:
            room = self._close_one(theirs)
        else:
            room = len(self._open) < self._most or self._close_one(self._open.values())
        if room:
            self._open[accepted.fileno()] = _Connection(accepted, neighbours)
        return room

    def note(self, file: int, waits: bool) -> None:
        """A connection, by its file descriptor, waits from now on, or is answered."""
        if (one := self._open.pop(file, None)) is not None:
            one.waits = waits
            self._open[file] = one

    def _close_one(self, among: Iterable[_Connection]) -> bool:
        """Close the one that has waited longest; whether one waits."""
        one = next((one for one in among if one.waits), None)
        if one is None:
            return False
        log.warning("too many connections: one that asked for nothing was closed")
        del self._open[one.socket.fileno()]
        with suppress(OSError):  # its other side may have gone
            one.socket.shutdown(socket.SHUT_RDWR)  # whoever reads from it then closes it
        return True


class Door(socket.socket):
    """A listening socket that takes in what there is room for."""

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        super().__init__(fileno=listening.detach())
        self.setblocking(False)
        self._connections = connections

    def listen(self, backlog: int = 0, /) -> None:
        """Listen, with a longer queue than asyncio asks for, which takes one number for both."""
        super().listen(max(backlog, BACKLOG))

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises `BlockingIOError` where none waits, or there was no room for it."""
        accepted, address = super().accept()
        if self._connections.take(accepted, address[0]):
            return accepted, address
        accepted.close()
        log.warning("too many connections: one was refused")
        raise BlockingIOError


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, patient for so long; what comes in drops does not make it more so."""

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._giving_up: asyncio.TimerHandle | None = None
        self._file, self._upgraded, self._gone = -1, False, False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection begins to wait."""
        super().connection_made(transport)
        self._file = transport.get_extra_info("socket").fileno()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection is gone, and its file descriptor soon another's."""
        super().connection_lost(exc)
        self._be_patient()
        self._gone = True

    def handle_events(self) -> None:
        """Something came."""
        super().handle_events()
        self._look()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """A web socket stays; uvicorn itself asks whether its other side is still there."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """An answer was given."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Begin to wait, go on waiting, or stop: by whether there is a request to answer."""
        if self._gone:
            return
        waits = not self._upgraded and (self.cycle is None or self.cycle.response_complete)
        if not waits:
            self._be_patient()
            self._connections.note(self._file, waits=False)
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(WAIT_SECONDS, self.transport.close)
            self._connections.note(self._file, waits=True)

    def _be_patient(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


class Sparing(logging.Filter):
    """Lets a line through once in `QUIET_SECONDS`, and says then how many were like it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}  # when last, and how many since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        words = str(record.msg).partition("\n")[0]
        line, now = (words, _where(record)), time.monotonic()
        last, more = self._said.pop(line, (now - QUIET_SECONDS, 0))
        if now - last < QUIET_SECONDS:
            self._said[line] = last, more + 1
            return False
        while len(self._said) >= MOST_LINES:
            del self._said[next(iter(self._said))]
        self._said[line] = now, 0
        if more:
            record.msg = f"{record.msg} (and {more:,} times more since it was last said)"
        return True


def _where(record: logging.LogRecord) -> str:
    """What was raised and where, so that another error is not taken for the same."""
    error = record.exc_info[1] if record.exc_info else None
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__} {line}" if error is not None else ""


def bound() -> None:
    """Give the servers of this process these limits. uvicorn has no setting for them, and Streamlit passes on none."""
    startup = uvicorn.Server.startup
    if hasattr(startup, "__wrapped__"):
        return

    @functools.wraps(startup)
    async def bounded(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        config, connections = server.config, Connections(_most_connections())
        config.backlog = AT_ONCE
        config.http_protocol_class = functools.partial(PatientProtocol, connections=connections)  # type: ignore[assignment]
        doors = [Door(listening, connections) for listening in sockets or [config.bind_socket()]]
        await startup(server, list(doors))

    uvicorn.Server.startup = bounded  # type: ignore[method-assign, assignment]
    sparing = Sparing()
    for name in QUIET_LOGS:
        logging.getLogger(name).addFilter(sparing)


def _most_connections() -> int:
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)
