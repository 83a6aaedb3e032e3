"""Several rerankers and the first look fused to one second order.

Each reranker makes a second look of its own at the same first look, all at the same time, with its own windows, kept
scores, costs and time budget; what they made is fused afterwards (`fuse`, which is pure). So a search fuses what
`rerank.evaluation.ensemble` measures, one that fails is left out, and a face that has the parts already needs no model.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.errors import CancelledError, RerankError
from ingest.notices import Notice, NoticeKind
from rerank.notices import fused_notice, not_reranked, without_mix
from rerank.records import FirstLook, OwnScore, Part, RankedHit, SearchResult
from rerank.request import WHOLE, SecondLookPlan
from rerank.search import Searcher
from retrieval.fusion import Fusion, places
from retrieval.records import Candidate

AT_ONCE = Notice(
    NoticeKind.AT_ONCE, "The rerankers ran at the same time, so that each took longer than it does alone."
)
NOTHING_TO_FUSE = Notice(NoticeKind.NOT_RERANKED, "Not reranked: there is nothing to fuse.")


def second_looks(
    searchers: Mapping[str, Searcher], first: FirstLook, plan: SecondLookPlan = WHOLE
) -> list[Part]:
    """What each of ``searchers``, by name, makes of ``first``, in their order; all work at the same time.

    A time budget is therefore that of all of them, and each ends by its own order where ``plan`` lets it end once that
    is stable. Its fusion is left out: parts are fused afterwards.
    """
    plan, stop = replace(plan, fusion=None), threading.Event()

    def go_on(done: int, total: int) -> None:
        if stop.is_set():
            raise CancelledError("The second looks were stopped.")

    with ThreadPoolExecutor(len(searchers)) as pool:
        try:
            looks = [pool.submit(searcher.second_look, first, go_on, plan) for searcher in searchers.values()]
            return [Part(name, look.result()) for name, look in zip(searchers, looks, strict=True)]
        except BaseException:
            stop.set()  # Ctrl-C waits for a batch, and not for all of them
            raise


def fuse(first: FirstLook, parts: Sequence[Part], fusion: Fusion) -> SearchResult:
    """The second looks of ``parts`` at ``first`` as one: an order of the passages that all of them scored.

    Those are the first ones of the first look, because each reranker scores in that order. Fused are the first look's
    scores and the rerankers' own logits over just these passages. A part without an order is left out, and a notice
    says why; where no part has one, there is no second order. Raises `UsageError` where ``fusion`` has shares for
    another number of rerankers.
    """
    fusion.fits(len(parts))
    there = [part.result for part in parts if part.result is not None and part.result.reranked]
    if not there:
        return _without_order(first, parts, fusion)
    scores = [{hit.candidate.chunk.id: _own(hit) for hit in result.after} for result in there]
    scored = [
        candidate
        for candidate in first.before
        if all(candidate.chunk.id in by_passage for by_passage in scores)
    ]
    logits = [
        np.array([by_passage[candidate.chunk.id] for candidate in scored], np.float32)
        for by_passage in scores
    ]
    rows = iter(logits)
    try:
        weights = fusion.weights([part.reranked for part in parts])
        # float32, as an evaluation keeps them: the same numbers make the same order.
        looked = np.array([candidate.ordered_by for candidate in scored], np.float32)
        fused = fusion.fused(looked, *(next(rows) if part.reranked else None for part in parts))
    except RerankError as error:
        return _without_order(first, parts, fusion, not_reranked(error))
    shares = iter(weights[1:] if weights is not None else [None] * len(there))
    parts = tuple(replace(part, share=next(shares) if part.reranked else None) for part in parts)
    shortest = min(there, key=lambda result: result.scored)
    names = {candidate.chunk.id for candidate in scored}
    return SearchResult(
        first.query,
        first.before,
        _hits(scored, fused, [part.name for part in parts if part.reranked], logits),
        replace(first.timings, rerank=max(result.timings.rerank for result in there)),
        there[0].models,
        (fused_notice(first, parts, fusion), *_failures(parts), *_scored(there, scored), *_others(first, parts)),
        truncated=frozenset().union(*(result.truncated for result in there)) & names,
        stopped=shortest.stopped,
        windows={name: span for result in reversed(there) for name, span in result.windows.items() if name in names},
        cached=min(result.cached for result in there),
        source=first.source,
        fusion=fusion,
        parts=parts,
        cold=any(result.cold for result in there),
    )  # fmt: skip


def own_order(part: Part) -> list[tuple[Candidate, float]]:
    """What ``part`` scored with the logit it gave, by that alone, the best first; ties in the first look's order.

    These are all that it scored, be they fused or not: none where it has no order.
    """
    hits = sorted(part.result.after, key=lambda hit: hit.candidate.rank) if part.result is not None else []
    logits = np.array([_own(hit) for hit in hits], np.float32)
    return [(hits[row].candidate, float(logits[row])) for row in places(logits).tolist()]


def _own(hit: RankedHit) -> float:
    return hit.logit if hit.cross_logit is None else hit.cross_logit


def _hits(
    scored: Sequence[Candidate],
    fused: NDArray[np.float64],
    names: Sequence[str],
    logits: Sequence[NDArray[np.float32]],
) -> tuple[RankedHit, ...]:
    """Hits by falling fused score, ties in the first look's order, each with what the rerankers gave it."""
    ranks = [np.argsort(places(row)) + 1 for row in logits]
    own = [
        tuple(
            OwnScore(*score)
            for score in zip(
                names, (float(r[row]) for r in logits), (int(r[row]) for r in ranks), strict=True
            )
        )
        for row in range(len(scored))
    ]
    return tuple(
        RankedHit(scored[row], rank, float(fused[row]), None, None, own[row])
        for rank, row in enumerate(places(fused).tolist(), start=1)
    )


def _without_order(
    first: FirstLook,
    parts: Sequence[Part],
    fusion: Fusion,
    why: Notice = NOTHING_TO_FUSE,
) -> SearchResult:
    """The first look alone, with what went wrong; without candidates nothing did."""
    notices = [why, *_failures(parts)] if first.before else []
    return SearchResult(
        first.query, first.before, (), first.timings, first.models, (*notices, *_others(first, parts)),
        source=first.source, fusion=fusion, parts=tuple(parts),
    )  # fmt: skip


def _failures(parts: Sequence[Part]) -> list[Notice]:
    """Of each part that has no order, that it is not in the fusion, and why."""
    return [
        replace(why, kind=NoticeKind.LEFT_OUT, text=f"{part.name} is not in the fused order. {why.text}")
        for part in parts
        if (why := part.why_not) is not None
    ]


def _scored(there: Sequence[SearchResult], scored: Sequence[Candidate]) -> list[Notice]:
    """What of the candidates is in the fused order, where that is not all; and that the rerankers ran at once."""
    notices = []
    total = len(there[0].before)
    if len(scored) < total:
        all_of_them = "all of them" if len(there) > 1 else "the reranker"
        text = f"The fused order holds the {len(scored)} of {total} passages that {all_of_them} scored."
        notices.append(Notice(NoticeKind.PARTIAL, text))
    if len(there) > 1 and all(result.cached < result.scored for result in there):
        notices.append(AT_ONCE)
    return notices


def _others(first: FirstLook, parts: Sequence[Part]) -> list[Notice]:
    """What else is to be said of the parts: once where it holds for all, else with the reranker's name.

    The mix that a reranker is shipped with is not what is fused, and why one has no order is told by `_failures`.
    """
    by_name = [
        (part.name, [notice for notice in without_mix(part.result.notices) if not notice.kind.no_order])
        for part in parts
        if part.result is not None
    ]
    common = [
        notice
        for notice in (by_name[0][1] if by_name else first.notices)
        if all(notice in notices for _, notices in by_name)
    ]
    own = [notice.of(name) for name, notices in by_name for notice in notices if notice not in common]
    return [*common, *own]


def fused_second_look(
    searchers: Mapping[str, Searcher], first: FirstLook, fusion: Fusion, plan: SecondLookPlan = WHOLE
) -> SearchResult:
    """The second order of several rerankers, by name, and the first look together; see `second_looks` and `fuse`."""
    fusion.fits(len(searchers))
    return fuse(first, second_looks(searchers, first, plan), fusion)
