"""A second look that runs beside the page, and what the page may show of it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain

from ingest.models.consent import is_service
from ingest.records import Chunk
from rerank.records import FirstLook, SearchResult
from rerank.request import WHOLE, SecondLookPlan
from rerank.search import Searcher
from ui.jobs.job import Job

# To mark sentences of all that may be shown costs a third of a second look; so few that nobody waits long for a turn.
MARKED_AT_ONCE = 5


OVERTAKEN = "Nobody waits for this search any more."


@dataclass(frozen=True, slots=True)
class SearchMoment:
    """What a search has come to at one moment: all that is drawn together is taken from one of these.

    The job goes on while the page draws, so that two looks at it may see two different answers. ``partial`` is the
    order so far, ``progress`` how many of how many passages are scored, ``failure`` why the job itself broke.
    ``ahead`` counts the second looks that are to be finished before this one goes on.
    """

    first: FirstLook
    partial: SearchResult | None
    result: SearchResult | None
    marks: Mapping[int, tuple[int, int]]
    progress: tuple[int, int] | None
    finished: bool
    failure: str
    ahead: int = 0

    @property
    def so_far(self) -> SearchResult | None:
        """The second look as far as there is one."""
        return self.result or self.partial


class _Counter:
    """How many are inside its ``with`` just now, on any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.count -= 1


_UNDER_WAY = _Counter()


def second_looks_under_way() -> int:
    """How many searches of this process, of all its visitors, have no whole answer yet."""
    return _UNDER_WAY.count


class SearchJob(Job[None]):
    """The second look at one first look, and the sentences to mark: scores first, marks after them.

    While it works, ``partial`` is the order so far of the passages that are scored, ``None`` before there is one.
    """

    def __init__(
        self,
        searcher: Searcher | Future[Searcher],
        first: FirstLook,
        most_shown: int,
        plan: SecondLookPlan = WHOLE,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Sentences are marked in the first ``most_shown`` passages of both orders.

        A ``searcher`` that is still being opened is waited for beside the page; ``first`` may be another one's.
        ``wanted``, which is asked on the job's thread now and then, says whether anybody still waits for the answer:
        where nobody does, the job cancels itself.
        """
        super().__init__()
        self.first = first
        self.partial: SearchResult | None = None
        self.result: SearchResult | None = None
        self.marks: dict[int, tuple[int, int]] = {}
        self.progress: tuple[int, int] | None = None
        self.ahead = 0
        self.wanted = wanted
        self._has_order = threading.Event()
        self._searcher, self._most_shown, self._plan = searcher, most_shown, plan

    def now(self) -> SearchMoment:
        """The job as it stands, to draw from."""
        # What the job knows last is read first, so that nothing which that implies is missing.
        finished, marks, result = self.finished, self.marks, self.result
        return SearchMoment(
            self.first,
            self.partial,
            result,
            marks,
            progress=self.progress,
            finished=finished,
            failure=self.failure if finished else "",
            ahead=self.ahead,
        )

    @property
    def news(self) -> tuple[object, ...]:
        """Something that changes whenever there is more to show than a count of passages."""
        scored = self.partial.scored if self.partial is not None else 0
        return scored, self.result is not None, bool(self.marks), self.ahead, self.finished

    @property
    def has_order(self) -> bool:
        """Whether there is an order to show, be it of the first slice or whole."""
        return self._has_order.is_set()

    def wait_for_order(self, seconds: float) -> bool:
        """Wait at most ``seconds`` until `has_order`; whether it has."""
        return self._has_order.wait(seconds)

    def _run(self) -> None:
        with _UNDER_WAY:
            self._search()

    def _search(self) -> None:
        searcher = self._searcher.result() if isinstance(self._searcher, Future) else self._searcher
        self._go_on()
        result = searcher.second_look(self.first, self._count, self._plan, self._hear, self._wait)
        self.result = result
        self._has_order.set()
        # A service would be sent, and bill, every sentence on the screen.
        if not is_service(searcher.encoder.model):
            for marks in marked(searcher, result.query, shown_chunks(result, self._most_shown), self._go_on):
                self.marks = {**self.marks, **marks}

    def _go_on(self) -> None:
        """Raises `CancelledError` where another search has taken this one's place, or nobody waits for it."""
        if not self.wanted():
            self.cancel()
        self.stop_if_cancelled(OVERTAKEN)

    def _wait(self, ahead: int) -> None:
        self._go_on()
        self.ahead = ahead

    def _count(self, done: int, total: int) -> None:
        self._go_on()
        self.ahead, self.progress = 0, (done, total)

    def _hear(self, partial: SearchResult) -> None:
        self._go_on()
        self.partial = partial
        self._has_order.set()


def marked(
    searcher: Searcher, query: str, chunks: Sequence[Chunk], go_on: Callable[[], None]
) -> Iterator[Mapping[int, tuple[int, int]]]:
    """The sentences to mark (see `Searcher.mark`), a few chunks at a time; what ``go_on`` raises before any ends it."""
    for first in range(0, len(chunks), MARKED_AT_ONCE):
        go_on()
        yield searcher.mark(query, chunks[first : first + MARKED_AT_ONCE], lambda ahead: go_on())


def shown_chunks(result: SearchResult, count: int) -> list[Chunk]:
    """The chunks of the first ``count`` places of both orders, each once."""
    candidates = chain(result.before[:count], (hit.candidate for hit in result.after[:count]))
    return list({candidate.chunk.id: candidate.chunk for candidate in candidates}.values())
