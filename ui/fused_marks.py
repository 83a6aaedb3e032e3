"""Sentences to mark in the passages that a fused order shows, and neither of the orders that were fused.

Each search marks what it shows itself. A passage that both have a little below that can stand above it in the fused
order; which these are is known only when both orders are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ingest.models.consent import is_service
from ingest.records import Chunk
from rerank.records import SearchResult
from rerank.search import Searcher
from ui.jobs import OVERTAKEN, Job, marked, shown_chunks
from ui.settings import MAX_RESULTS

Marks = Mapping[int, tuple[int, int]]


class _MarkJob(Job[None]):
    """Marks for some passages, on a thread of its own; it cancels itself where nobody waits any more."""

    def __init__(
        self, searcher: Searcher, query: str, chunks: Sequence[Chunk], wanted: Callable[[], bool]
    ) -> None:
        self.marks: Marks = {}
        self._wanted = wanted
        super().__init__(lambda: self._run(searcher, query, chunks))

    def _run(self, searcher: Searcher, query: str, chunks: Sequence[Chunk]) -> None:
        for marks in marked(searcher, query, chunks, self._go_on):
            self.marks = {**self.marks, **marks}

    def _go_on(self) -> None:
        if not self._wanted():
            self.cancel()
        self.stop_if_cancelled(OVERTAKEN)


class FusedMarks:
    """The marks of one pair of searches beyond their own. Marks are of question and passage, whatever the fusion is."""

    def __init__(self) -> None:
        """Nothing is marked before `want` is asked."""
        self._jobs: list[_MarkJob] = []
        self._seen: set[int] = set()

    @property
    def marks(self) -> Marks:
        """Chunk id → span, as far as they are found."""
        return {name: span for job in self._jobs for name, span in job.marks.items()}

    @property
    def finished(self) -> bool:
        """Whether nothing more will change by itself."""
        return all(job.finished for job in self._jobs)

    def want(
        self, searcher: Searcher, fused: SearchResult, own: Sequence[SearchResult], wanted: Callable[[], bool]
    ) -> None:
        """Begin to mark what ``fused`` may show, and none of its ``own`` orders does, unless that was begun before.

        Not with an encoder that is a service: it would be sent, and bill, every sentence.
        """
        if is_service(searcher.encoder.model):
            return
        self._seen.update(chunk.id for result in own for chunk in shown_chunks(result, MAX_RESULTS))
        rest = [chunk for chunk in shown_chunks(fused, MAX_RESULTS) if chunk.id not in self._seen]
        self._seen.update(chunk.id for chunk in rest)
        if rest:
            self._jobs.append(_MarkJob(searcher, fused.query, rest, wanted))

    def wait(self, seconds: float) -> None:
        """Wait until it is finished. Raises TimeoutError after ``seconds`` for any of its parts."""
        for job in self._jobs:
            job.wait(seconds)

    def cancel(self) -> None:
        """Ask it to stop soon."""
        for job in self._jobs:
            job.cancel()
