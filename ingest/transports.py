"""What the HTTP clients of services are given: a time limit that holds for all of a request, and logs without headers.

Clients limit each read by itself, so that a header of a byte a second would be waited for without end. Here every
connection that is made within a limit is watched, and is shut down when the time is over.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from ingest.errors import ModelError, ServiceError
from ingest.services import Patience, too_slow

# Whose DEBUG records hold whole headers, in which some services repeat the key.
TELL_HEADERS = ("httpcore", "httpcore2", "openai", "fern")


class _Watch:
    """The connections of one request, shut down when its time is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._ends = False
        self.is_over = False

    def add(self, connection: socket.socket) -> None:
        # A duplicate, because TLS takes the original's place; shutting it down ends both, and closing it ends neither.
        with self._lock:
            duplicate = connection.dup()
            self._sockets.append(duplicate)
            if self.is_over:
                _shut_down(duplicate)

    def over(self) -> None:
        with self._lock:
            if self._ends:
                return
            self.is_over = True
            for connection in self._sockets:
                _shut_down(connection)

    def end(self) -> None:
        with self._lock:
            self._ends = True
            for connection in self._sockets:
                connection.close()


_current: ContextVar[_Watch | None] = ContextVar("the request that this thread makes", default=None)


@contextmanager
def within(who: str, deadline: float, patience: Patience) -> Iterator[None]:
    """One request and its whole answer, headers and handshakes too, before the monotonic clock says ``deadline``.

    Raises `ServiceError` where it takes longer, in place of the client's that the connection broke. Only connections
    made inside are watched, so that clients must not keep any; a name is looked up within the system's own limit.
    """
    watch = _Watch()
    timer = threading.Timer(max(deadline - time.monotonic(), 0.001), watch.over)
    timer.daemon = True
    timer.start()
    token = _current.set(watch)
    try:
        yield
    except ServiceError:
        if watch.is_over:
            raise too_slow(who, patience) from None
        raise
    finally:
        _current.reset(token)
        timer.cancel()
        watch.end()
    if watch.is_over:  # to urllib3, headers that are cut off are whole
        raise too_slow(who, patience)


def httpx_client(httpx: Any, kind: Any, *, direct: bool = True, **options: Any) -> Any:
    """A client of ``httpx``, which is that package or httpx2; ``kind`` is its class, ``options`` are for that.

    It follows no redirect, which would carry passages elsewhere, and keeps no connection. A ``direct`` one goes through
    no proxy of the environment, to which what is for this machine would be sent, too. Raises `ModelError` where a
    proxy of the environment cannot be used.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    if direct:
        options.setdefault("transport", httpx.HTTPTransport(limits=limits))
    try:
        return kind(
            follow_redirects=False, limits=limits, event_hooks={"request": [_trace]}, **options
        )  # fmt: skip
    except (ImportError, ValueError):  # without its own words, in which a proxy's password may be
        raise ModelError(
            "The proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used here: it is no address of "
            "one, or a SOCKS proxy, for which httpx lacks a package. Name another, or none."
        ) from None


def urllib3_pools() -> Any:
    """urllib3's pools, whose connections are watched. What is asked through them must close its connection."""
    pools: Any = import_module("urllib3").PoolManager()
    pools.pool_classes_by_scheme = {
        scheme: _watched(kind) for scheme, kind in pools.pool_classes_by_scheme.items()
    }
    return pools


def keep_headers_unlogged() -> None:
    """Let no client of ours log what it sends and gets, whatever the level of all logs: keys are in there."""
    for name in TELL_HEADERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))


def _trace(request: Any) -> None:
    """Have httpcore tell of the connections that it makes for this request."""
    request.extensions["trace"] = _seen


def _seen(event: str, info: dict[str, Any]) -> None:
    watch = _current.get()
    if watch is not None and event.endswith("connect_tcp.complete"):
        watch.add(info["return_value"].get_extra_info("socket"))


def _watched(pool: Any) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            connection: socket.socket = super()._new_conn()
            watch = _current.get()
            if watch is not None:
                watch.add(connection)
            return connection

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it is gone already
        connection.shutdown(socket.SHUT_RDWR)
