"""What all clients of services share: retries within a time limit, refusals as sentences, answers read with a limit."""

from __future__ import annotations

import json
import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from typing import Any, TypeVar

from ingest.errors import ModelError, ServiceError

Answer = TypeVar("Answer")
Value = TypeVar("Value")

# Statuses after which the same request may well succeed.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a service is waited for: ``seconds`` for one request with all its attempts, of which ``attempts``.

    The first repetition waits ``first_wait`` seconds, each further one twice as long, with jitter.
    """

    seconds: float = 30.0
    attempts: int = 5
    first_wait: float = 0.5


class PassingFaultError(ServiceError):
    """A failure that may pass: another attempt is worth it, after ``wait`` seconds where the service named some."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        """Keep ``wait`` beside the message."""
        super().__init__(message)
        self.wait = wait


def with_retries(once: Callable[[float], Answer], policy: RetryPolicy) -> Answer:
    """What ``once`` returns, tried again on `PassingFaultError`; it is given the seconds that are left.

    Raises `ServiceError` when attempts or time are used up, or at once where the service asks to wait for longer than
    there is time.
    """
    deadline = time.monotonic() + policy.seconds
    for attempt in range(1, policy.attempts + 1):
        try:
            return once(deadline - time.monotonic())
        except PassingFaultError as fault:
            wait = _wait(fault, attempt, policy)
            if attempt == policy.attempts:
                raise ServiceError(f"{fault}; {attempt} attempts were made") from fault
            if time.monotonic() + wait >= deadline:
                raise ServiceError(
                    f"{fault}; the next attempt would be in {wait:.0f} s, past the limit of {policy.seconds:g} s"
                ) from fault
            time.sleep(wait)
    raise ValueError(f"{policy.attempts} attempts are none; the least is 1")


def _wait(fault: PassingFaultError, attempt: int, policy: RetryPolicy) -> float:
    if fault.wait is not None:
        return fault.wait
    # Jitter, so that clients that failed together do not come back together.
    return float(policy.first_wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait, be it a number or a date; ``None`` where it says nothing."""
    if not header:
        return None
    # Imported here, as searches without a service should not wait for it.
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(header)
    except (
        InvalidHeader,
        ValueError,
        OverflowError,
    ):  # a number of 5,000 digits, a date that no calendar has
        return None


def check_status(who: str, status: int, message: str, wait: str | None) -> None:
    """Raise unless ``status`` is 200: `PassingFaultError` where another attempt may help, else `ServiceError`.

    ``message`` is what the service said, ``wait`` its Retry-After header.
    """
    if status == HTTPStatus.OK:
        return
    detail = f" ({message})" if message else ""
    if status in PASSING:
        why = "has too many requests" if status == HTTPStatus.TOO_MANY_REQUESTS else "has a fault of its own"
        raise PassingFaultError(f"{who} {why}: status {status}{detail}", retry_after(wait))
    reasons = {
        HTTPStatus.UNAUTHORIZED: "does not accept the key; check the variable that holds it",
        HTTPStatus.FORBIDDEN: "does not allow this with that key",
        HTTPStatus.PAYMENT_REQUIRED: "asks for payment",
        HTTPStatus.NOT_FOUND: "knows no such route or model; check the address and the model's name",
    }
    reason = next((text for code, text in reasons.items() if code == status), "refused the request")
    raise ServiceError(f"{who} {reason}: status {status}{detail}")


def too_slow(who: str, policy: RetryPolicy) -> ServiceError:
    """Why an answer that does not come is no longer waited for."""
    return ServiceError(f"{who} did not answer within {policy.seconds:g} s")


def unreachable(who: str, error: BaseException) -> PassingFaultError:
    """That no connection was made, or that it broke, with the innermost cause that says anything."""
    while error.__cause__ is not None:
        error = error.__cause__
    return PassingFaultError(f"{who} cannot be reached ({str(error) or type(error).__name__})")


def read_answer(
    who: str, pieces: Iterable[bytes], deadline: float, policy: RetryPolicy, largest: int
) -> bytes:
    """The whole of an answer that comes in ``pieces``, before the monotonic clock says ``deadline``.

    Each piece may come in time and all of them together too late. Raises `ServiceError` for that, and for an answer
    of more than ``largest`` bytes.
    """
    raw = bytearray()
    for piece in pieces:
        raw += piece
        if len(raw) > largest:
            raise ServiceError(f"{who} gave an answer of more than {largest // 2**20} MB")
        if time.monotonic() > deadline:
            raise too_slow(who, policy)
    return bytes(raw)


def parsed(raw: bytes) -> object:
    """An answer as JSON; ``None`` where it is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):  # brackets within brackets, thousands deep
        return None


def not_json(who: str, kind: str | None) -> ServiceError:
    """That an answer is not JSON but of another content type, a page that asks to sign in, say."""
    of_kind = f" ({kind.partition(';')[0]})" if kind else ""
    return ServiceError(f"{who} answered with something that is not JSON{of_kind}; check its address")


def by_index(who: str, rows: Iterable[tuple[object, Value]], count: int, what: str) -> list[Value]:
    """The values of pairs of index and value in any order, put in the order of what was asked about.

    ``what`` names a value in messages. Raises `ServiceError` where an index is missing, doubled or out of range.
    """
    values: dict[int, Value] = {}
    for index, value in rows:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            raise ServiceError(
                f"{who} gave a {what} to passage {index!r}, but was asked about 0 to {count - 1}"
            )
        if index in values:
            raise ServiceError(f"{who} gave two {what}s to passage {index}")
        values[index] = value
    missing = [index for index in range(count) if index not in values]
    if missing:
        raise ServiceError(
            f"{who} gave no {what} to {len(missing)} of {count} passages, the first is {missing[0]}"
        )
    return [values[index] for index in range(count)]


def message_of(answer: object, keys: tuple[str, ...] = ()) -> str:
    """What a service says went wrong, on one line and not too long, and without any of ``keys``.

    Some services repeat the key they were given in their refusal. Control characters, which a terminal would obey, are
    spaces.
    """
    content = answer
    for _ in range(3):  # {"error": {"message": "…"}} and {"detail": [{"msg": "…"}]} are as deep as it gets
        if isinstance(content, list) and content:
            content = content[0]
        if isinstance(content, dict):
            content = next(
                (content[name] for name in ("message", "detail", "error", "msg") if content.get(name)), ""
            )
    text = " ".join(re.split(r"[\s\x00-\x1f\x7f-\x9f]+", content)).strip() if isinstance(content, str) else ""
    for key in filter(None, keys):
        text = text.replace(key, "…")
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"


def slices(count: int, size: int) -> Iterator[slice]:
    """``count`` things in slices of at most ``size``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


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
def within(who: str, deadline: float, policy: RetryPolicy) -> Iterator[None]:
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
            raise too_slow(who, policy) from None
        raise
    finally:
        _current.reset(token)
        timer.cancel()
        watch.end()
    if watch.is_over:  # to urllib3, headers that are cut off are whole
        raise too_slow(who, policy)


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
