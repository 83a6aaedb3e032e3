"""Work that runs beside the page: a second look, and an ingest.

A job's thread never calls Streamlit. It writes into the job, and the page looks at the job when it draws.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from ingest.encoder import Encoder
from ingest.errors import CancelledError, SecondLookError
from ingest.intake import Source
from ingest.library import Library
from ingest.pipeline import ingest
from ingest.records import Chunk, FileReport, IngestProgress, IngestReport, Stage
from rerank.anytime import WHOLE, SecondLookPlan
from rerank.highlight import best_sentences
from rerank.records import FirstLook, SearchResult
from rerank.search import Searcher

log = logging.getLogger(__name__)

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Run ``work`` on a thread of its own that does not keep the process alive; what it raises is in the future."""
    future: Future[T] = Future()

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
        return str(error)
    return f"The work stopped because of an error ({type(error).__name__}: {error}). The log says where; try again."


class SearchJob:
    """The second look at one first look, and the sentences to mark: scores first, marks after them.

    While it works, ``partial`` is the order so far of the passages that are scored, ``None`` before there is one.
    """

    def __init__(
        self, searcher: Searcher, first: FirstLook, most_shown: int, plan: SecondLookPlan = WHOLE
    ) -> None:
        """Start at once. Sentences are marked in the first ``most_shown`` passages of both orders."""
        self.first = first
        self.partial: SearchResult | None = None
        self.result: SearchResult | None = None
        self.marks: dict[int, tuple[int, int]] = {}
        self.progress: tuple[int, int] | None = None
        self._cancelled = threading.Event()
        self._future = in_background(lambda: self._run(searcher, most_shown, plan))

    @property
    def finished(self) -> bool:
        """Whether nothing more will change."""
        return self._future.done()

    @property
    def failure(self) -> str:
        """Why there is no second look, as a sentence, where the job itself broke."""
        return failure(self._future)

    def cancel(self) -> None:
        """Stop soon: another search has taken its place."""
        self._cancelled.set()

    def wait(self, seconds: float) -> None:
        """Wait until the job is finished, however it ends. Raises TimeoutError after ``seconds``."""
        self._future.exception(timeout=seconds)

    def _run(self, searcher: Searcher, most_shown: int, plan: SecondLookPlan) -> None:
        result = searcher.second_look(self.first, self._count, plan, self._hear)
        self.result = result
        self.marks = best_sentences(result.query, _shown(result, most_shown), searcher.encoder)

    def _count(self, done: int, total: int) -> None:
        self._stop_if_overtaken()
        self.progress = (done, total)

    def _hear(self, partial: SearchResult) -> None:
        self._stop_if_overtaken()
        self.partial = partial

    def _stop_if_overtaken(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError("Another search has taken this one's place.")


def _shown(result: SearchResult, count: int) -> list[Chunk]:
    """The chunks of the first ``count`` places of both orders, each once."""
    candidates = chain(result.before[:count], (hit.candidate for hit in result.after[:count]))
    return list({candidate.chunk.id: candidate.chunk for candidate in candidates}.values())


@dataclass(frozen=True, slots=True)
class FileLine:
    """Where one file of an ingest is: its report once it has one, else a word for what is being done."""

    name: str
    report: FileReport | None
    doing: str


@dataclass
class IngestJob:
    """An ingest of several files. ``clean_up`` is called at its end, whatever that is."""

    sources: Sequence[Source]
    open_library: Callable[[], Library]
    encoder: Encoder
    clean_up: Callable[[], None] = lambda: None
    progress: IngestProgress | None = None
    _reports: dict[int, FileReport] = field(default_factory=dict)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._future = in_background(self._run)

    @property
    def finished(self) -> bool:
        """Whether nothing more will change."""
        return self._future.done()

    @property
    def failure(self) -> str:
        """Why the ingest as a whole failed, as a sentence; empty where it did not."""
        return failure(self._future)

    @property
    def cancelled(self) -> bool:
        """Whether the person asked for it to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop after the passages in hand; files that were finished stay."""
        self._cancelled.set()

    def wait(self, seconds: float) -> None:
        """Wait until the job is finished, however it ends. Raises TimeoutError after ``seconds``."""
        self._future.exception(timeout=seconds)

    def lines(self) -> list[FileLine]:
        """Every file, in the order given."""
        with self._lock:
            reports, at = dict(self._reports), self.progress
        return [
            FileLine(source.name, reports.get(number), self._doing(number, at))
            for number, source in enumerate(self.sources, start=1)
        ]

    def _doing(self, number: int, at: IngestProgress | None) -> str:
        if self.finished:
            return "stopped before it was finished" if self.cancelled else "not finished"
        if at is None or number > at.file:
            return "waiting"
        return "reading" if number == at.file and at.stage is Stage.READING else "embedding"

    def _run(self) -> IngestReport:
        try:
            return ingest(
                self.sources, self.open_library(), self.encoder,
                on_progress=self._hear, cancelled=self._cancelled.is_set,
            )  # fmt: skip
        finally:
            self.clean_up()

    def _hear(self, progress: IngestProgress) -> None:
        with self._lock:
            if progress.report is not None:
                self._reports[progress.file] = progress.report
            else:
                self.progress = progress
