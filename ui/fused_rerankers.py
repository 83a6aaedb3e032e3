"""Two rerankers on the page fused to one order: a view of both searches, which run as if they stood side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rerank.ensemble import fuse
from rerank.notices import shipped_mix
from rerank.records import Part
from rerank.search import Searcher
from retrieval.fusion import Fusion
from ui.fused_marks import FusedMarks
from ui.jobs import SearchJob, SearchMoment
from ui.words import model_title


def fused_moment(one: SearchMoment, title: str, other: SearchMoment, fusion: Fusion) -> SearchMoment:
    """A's and B's searches at one moment as one search; ``title`` is B's. No model runs.

    Until both are done, the order so far is of the passages that both have scored. One that failed is left out. Marked
    is what either has marked; `mark_fused` sees to the rest.
    """
    reranker = one.first.models.reranker
    titles, moments = (model_title(reranker) if reranker is not None else "A", title), (one, other)
    ended = [moment.finished or moment.result is not None for moment in moments]
    parts = [Part(name, moment.so_far, moment.failure) for name, moment in zip(titles, moments, strict=True)]
    if any(not (part.reranked or end) for part, end in zip(parts, ended, strict=True)):
        parts = [Part(name, None) for name in titles]  # one alone would be another order
    order = fuse(one.first, parts, fusion)
    mix = shipped_mix(one.first.models)  # of A's own order, which is not shown
    said = tuple(notice for notice in one.first.notices if notice != mix)
    return replace(
        one,
        first=replace(one.first, notices=(*order.notices[:1], *said) if order.reranked else said),
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
