"""Ask every query of a judged set, with the models that the page uses, and measure both orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ingest.errors import ModelError
from ingest.library.library import Library
from ingest.models.resolve import ModelSpec
from ingest.notices import Notice, NoticeKind
from rerank.evaluation.scoring import ScoredQuery, score_queries
from rerank.evaluation.systems import first_look_of, systems_of
from rerank.judged.measures import measure
from rerank.judged.records import Evaluation, JudgedSet, QueryRun
from rerank.judged.significance import differences, verdict
from rerank.search import DEFAULT_CANDIDATES, OnProgress, Searcher


def evaluate(
    judged: JudgedSet,
    library: Library,
    searcher: Searcher,
    candidates: int = DEFAULT_CANDIDATES,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Both orders of every query, measured and compared; ``on_progress`` hears how many of how many are done.

    ``searcher`` answers on ``library``, which holds the set's documents. Raises `ModelError` where no
    reranker could be loaded, `UsageError` for a query that cannot be asked.
    """
    spec, notices = ready(judged, searcher)
    scored = score_queries(judged.queries, library, searcher, candidates, on_progress)
    first = first_look_of(scored)
    (second,) = systems_of(spec.name, scored, [candidates], spec.bi_weight, None)
    before, after = measure(judged.qrels, first.orders), measure(judged.qrels, second.orders)
    found = differences(before, after)
    runs = {
        query: QueryRun(first.orders[query], second.orders[query], second.milliseconds[query], row.failure)
        for query, row in scored.items()
    }
    return Evaluation(
        judged, len(library.documents()), candidates, searcher.models, runs, before, after, found,
        verdict(found), (*judged.notices, *notices, *failures(scored, spec.name)),
    )  # fmt: skip


def ready(judged: JudgedSet, searcher: Searcher) -> tuple[ModelSpec, tuple[Notice, ...]]:
    """How the reranker's scores make its order, and what the searcher says with every answer, of the models for one.

    Raises `ModelError` where there is no reranker.
    """
    any_query = next(iter(judged.queries.values()))
    notices = searcher.first_look(any_query, candidates=1).notices
    if searcher.spec is None:
        why = " ".join(notice.text for notice in notices)
        advice = next((notice.help for notice in notices if notice.help is not None), None)
        raise ModelError(f"There is no second look to evaluate. {why}".strip(), advice)
    return searcher.spec, notices


def failures(scored: Mapping[str, ScoredQuery], reranker: str) -> tuple[Notice, ...]:
    """A notice on the queries that ``reranker`` failed on, with the reason of the first; none where it did not."""
    failed = [found.failure for found in scored.values() if found.failure]
    if not failed:
        return ()
    counts = f"{len(failed)} of {len(scored)} queries were not reranked by {reranker} and count as unchanged."
    return (replace(failed[0], kind=NoticeKind.UNSCORED, text=f"{counts} {failed[0].text}"),)
