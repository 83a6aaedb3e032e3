"""Two rerankers on the page fused to one order: a view of both searches, which run as if they stood side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ingest.models.consent import is_service
from ingest.notices import Notice, NoticeKind
from ingest.records import Chunk
from rerank.ensemble import fuse
from rerank.notices import without_mix
from rerank.records import Part, SearchResult
from rerank.search import Searcher
from retrieval.fusion import Fusion
from ui.jobs.job import Job
from ui.jobs.search import OVERTAKEN, SearchJob, SearchMoment, marked, shown_chunks
from ui.presentation.formatting import model_title
from ui.settings import MAX_RESULTS


def fused_moment(one: SearchMoment, title: str, other: SearchMoment, fusion: Fusion) -> SearchMoment:
    """A's and B's searches at one moment as one search; ``title`` is B's. No model runs.

    Until both are done, the order so far is of the passages that both have scored. One that failed is left out. Marked
    is what either has marked; `mark_fused` sees to the rest.
    """
    reranker = one.first.models.reranker
    titles, moments = (model_title(reranker) if reranker is not None else "A", title), (one, other)
    ended = [moment.finished or moment.result is not None for moment in moments]
    parts = [
        Part(name, moment.so_far, Notice(NoticeKind.UNAVAILABLE, moment.failure) if moment.failure else None)
        for name, moment in zip(titles, moments, strict=True)
    ]
    if any(not (part.reranked or end) for part, end in zip(parts, ended, strict=True)):
        parts = [Part(name, None) for name in titles]  # one alone would be another order
    order = fuse(one.first, parts, fusion)
    fused = tuple(notice for notice in order.notices if notice.kind is NoticeKind.FUSION)
    return replace(
        one,
        # The mix that A is shipped with is of its own order, which is not shown.
        first=replace(one.first, notices=(*fused, *without_mix(one.first.notices))),
        partial=order,
        result=order if all(ended) else None,
        marks={**other.marks, **one.marks},
        progress=_progress([moment for moment, end in zip(moments, ended, strict=True) if not end]),
        finished=one.finished and other.finished,
        failure="",  # in the order's notices
        ahead=max(one.ahead, other.ahead),
    )


def mark_fused(
    searcher: Searcher, one: SearchJob, title: str, other: SearchJob, fusion: Fusion, marks: FusedMarks
) -> None:
    """Have ``marks`` find those of what only the fused order shows, once both searches are at their end."""
    if not (one.finished and other.finished):
        return
    moments = one.now(), other.now()
    fused = fused_moment(moments[0], title, moments[1], fusion).result
    if fused is not None and fused.reranked:
        own = [moment.result for moment in moments if moment.result is not None]
        marks.want(searcher, fused, own, other.wanted)


def _progress(under_way: Sequence[SearchMoment]) -> tuple[int, int] | None:
    """How many passages all those that are under way have scored; ``None`` where one has not begun."""
    counts = [moment.progress for moment in under_way if moment.progress is not None]
    return min(counts) if counts and len(counts) == len(under_way) else None


Marks = Mapping[int, tuple[int, int]]


class _MarkJob(Job[None]):
    """Marks for some passages, on a thread of its own; it cancels itself where nobody waits any more."""

    def __init__(
        self, searcher: Searcher, query: str, chunks: Sequence[Chunk], wanted: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.marks: Marks = {}
        self._searcher, self._query, self._chunks, self._wanted = searcher, query, chunks, wanted

    def _run(self) -> None:
        for marks in marked(self._searcher, self._query, self._chunks, self._go_on):
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
            self._jobs.append(_MarkJob(searcher, fused.query, rest, wanted).start())

    def wait(self, seconds: float) -> None:
        """Wait until it is finished. Raises TimeoutError after ``seconds`` for any of its parts."""
        for job in self._jobs:
            job.wait(seconds)

    def cancel(self) -> None:
        """Ask it to stop soon."""
        for job in self._jobs:
            job.cancel()
