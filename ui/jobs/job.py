"""Work that runs beside the page: what every such job is.

A job's thread never calls Streamlit. It writes into the job, and the page looks at the job when it draws.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Self, TypeVar

from ingest.errors import CancelledError, SecondLookError
from ui.presentation.remedies import Face, told

log = logging.getLogger(__name__)

T = TypeVar("T")


def in_background(work: Callable[[], T], future: Future[T] | None = None) -> Future[T]:
    """Run ``work`` on a thread of its own that does not keep the process alive; what it raises is in the future."""
    future = Future() if future is None else future

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # not swallowed: whoever asks the future gets it
            if not isinstance(error, SecondLookError):
                log.exception("work beside the page failed")
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def failure(future: Future[T]) -> str:
    """Why a finished job failed, as a sentence; empty where it did not, or where it was stopped on purpose."""
    error = future.exception() if future.done() else None
    if error is None or isinstance(error, CancelledError):
        return ""
    if isinstance(error, SecondLookError):
        return told(error, Face.PAGE)
    return f"The work stopped because of an error ({type(error).__name__}: {error}). The log says where; try again."


class Job(ABC, Generic[T]):
    """One piece of work on a thread of its own, that can be asked to stop; what it raises is never lost."""

    def __init__(self) -> None:
        """Nothing is done before `start`."""
        self._cancelled = threading.Event()
        self._future: Future[T] = Future()

    def start(self) -> Self:
        """Begin the work, once; the job itself."""
        in_background(self._run, self._future)
        return self

    @abstractmethod
    def _run(self) -> T:
        """The work, on the job's thread."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will change."""
        return self._future.done()

    @property
    def failure(self) -> str:
        """Why it failed, as a sentence; empty where it did not, or was stopped on purpose."""
        return failure(self._future)

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask it to stop soon; it keeps what it says that it keeps."""
        self._cancelled.set()

    def wait(self, seconds: float) -> None:
        """Wait until it is finished, however it ends. Raises TimeoutError after ``seconds``."""
        self._future.exception(timeout=seconds)

    def stop_if_cancelled(self, why: str) -> None:
        """End the work, on whose thread this is called, where that was asked for. Raises `CancelledError`."""
        if self.cancelled:
            raise CancelledError(why)
