"""What all rerankers behind a service share: where they are, retries within a time limit, and answers by index."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RerankError

Answer = TypeVar("Answer")

COHERE_URL = "https://api.cohere.com"
# Statuses after which the same request may well succeed.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """Where rerankers outside this process are, and the keys to them, which no ``repr`` shows.

    ``url`` and ``model`` are those of a server with a rerank route, ``key`` what it asks for as a bearer token.
    """

    url: str = ""
    model: str = ""
    key: str = field(default="", repr=False)
    cohere_key: str = field(default="", repr=False)
    cohere_url: str = COHERE_URL


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a service is waited for: ``seconds`` for one request with all its attempts, of which ``attempts``.

    The first repetition waits ``first_wait`` seconds, each further one twice as long, with jitter.
    """

    seconds: float = 30.0
    attempts: int = 5
    first_wait: float = 0.5


class PassingFaultError(RerankError):
    """A failure that may pass: another attempt is worth it, after ``wait`` seconds where the service named some."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        """Keep ``wait`` beside the message."""
        super().__init__(message)
        self.wait = wait


def persist(once: Callable[[float], Answer], patience: Patience) -> Answer:
    """What ``once`` returns, tried again on `PassingFaultError`; it is given the seconds that are left.

    Raises `RerankError` when attempts or time are used up, or at once where the service asks to wait for longer than
    there is time.
    """
    deadline = time.monotonic() + patience.seconds
    for attempt in range(1, patience.attempts + 1):
        try:
            return once(deadline - time.monotonic())
        except PassingFaultError as fault:
            wait = _wait(fault, attempt, patience)
            if attempt == patience.attempts:
                raise RerankError(f"{fault}; {attempt} attempts were made") from fault
            if time.monotonic() + wait >= deadline:
                raise RerankError(
                    f"{fault}; the next attempt would be in {wait:.0f} s, past the limit of {patience.seconds:g} s"
                ) from fault
            time.sleep(wait)
    raise ValueError(f"{patience.attempts} attempts are none; the least is 1")


def _wait(fault: PassingFaultError, attempt: int, patience: Patience) -> float:
    if fault.wait is not None:
        return fault.wait
    # Jitter, so that clients that failed together do not come back together.
    return float(patience.first_wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait, be it a number or a date; ``None`` where it says nothing."""
    if not header:
        return None
    # Imported here, as searches without a service should not wait for it.
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(header)
    except InvalidHeader:
        return None


def check_status(who: str, status: int, message: str, wait: str | None) -> None:
    """Raise unless ``status`` is 200: `PassingFaultError` where another attempt may help, else `RerankError`.

    ``message`` is what the service said, ``wait`` its Retry-After header.
    """
    if status == HTTPStatus.OK:
        return
    said = f" ({message})" if message else ""
    if status in PASSING:
        why = "has too many requests" if status == HTTPStatus.TOO_MANY_REQUESTS else "has a fault of its own"
        raise PassingFaultError(f"{who} {why}: status {status}{said}", retry_after(wait))
    reasons = {
        HTTPStatus.UNAUTHORIZED: "does not accept the key; check the variable that holds it",
        HTTPStatus.FORBIDDEN: "does not allow this with that key",
        HTTPStatus.PAYMENT_REQUIRED: "asks for payment",
        HTTPStatus.NOT_FOUND: "knows no such route or model; check the address and the model's name",
    }
    reason = next((text for known, text in reasons.items() if known == status), "refused the request")
    raise RerankError(f"{who} {reason}: status {status}{said}")


def message_of(answer: object, keys: tuple[str, ...] = ()) -> str:
    """What a service says went wrong, on one line and not too long, and without any of ``keys``.

    Some services repeat the key they were given in their refusal.
    """
    found = answer
    for _ in range(3):  # {"error": {"message": "…"}} and {"detail": [{"msg": "…"}]} are as deep as it gets
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            found = next(
                (found[name] for name in ("message", "detail", "error", "msg") if found.get(name)), ""
            )
    text = " ".join(str(found).split()) if isinstance(found, str) else ""
    for key in filter(None, keys):
        text = text.replace(key, "…")
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"


def scores_by_index(who: str, rows: Iterable[tuple[object, object]], count: int) -> NDArray[np.float32]:
    """Scores (count,) from pairs of index and score in any order, put in the order of the passages.

    Raises `RerankError` where an index is missing, doubled or of no passage, or a score is not a finite number.
    """
    found: dict[int, float] = {}
    for index, score in rows:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            raise RerankError(
                f"{who} gave a score to passage {index!r}, but was asked about 0 to {count - 1}"
            )
        if index in found:
            raise RerankError(f"{who} gave two scores to passage {index}")
        found[index] = _number(who, index, score)
    missing = [index for index in range(count) if index not in found]
    if missing:
        raise RerankError(
            f"{who} gave no score to {len(missing)} of {count} passages, the first is {missing[0]}"
        )
    return np.array([found[index] for index in range(count)], dtype=np.float32)


def _number(who: str, index: int, score: object) -> float:
    largest = float(np.finfo(np.float32).max)
    if isinstance(score, int | float) and not isinstance(score, bool):
        value = float(
            str(score)
        )  # by way of text, as a whole number of 400 digits is then infinite and no error
        if math.isfinite(value) and abs(value) <= largest:
            return value
    raise RerankError(f"{who} gave passage {index} a score that is not a number: {str(score)[:40]}")


def slices(count: int, size: int) -> Iterator[slice]:
    """``count`` things in slices of at most ``size``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
