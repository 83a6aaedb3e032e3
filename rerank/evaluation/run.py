"""Ask every query of a judged set, with the searcher that the page uses, and measure both orders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ingest.errors import ModelError
from ingest.library import Library
from ingest.records import digest
from rerank.evaluation.cache import ResultCache, key_prefix
from rerank.evaluation.dataset import document_id
from rerank.evaluation.measures import measure
from rerank.evaluation.records import Evaluation, JudgedSet, QueryRun
from rerank.evaluation.significance import differences, verdict
from rerank.search import DEFAULT_CANDIDATES, OnProgress, Searcher
from retrieval.records import Candidate


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
    notices = _standing_notices(judged, searcher)
    if searcher.models.reranker is None:
        raise ModelError(f"There is no second look to evaluate. {' '.join(notices)}".strip())
    runs = ask_all(judged, library, searcher, candidates, on_progress)
    before = measure(judged.qrels, {query: run.before for query, run in runs.items()})
    after = measure(judged.qrels, {query: run.after for query, run in runs.items()})
    found = differences(before, after)
    return Evaluation(
        judged, len(library.documents()), candidates, searcher.models, runs, before, after, found,
        verdict(found), (*judged.notices, *notices, *_failures(runs)),
    )  # fmt: skip


def ask_all(
    judged: JudgedSet,
    library: Library,
    searcher: Searcher,
    candidates: int,
    on_progress: OnProgress | None = None,
) -> dict[str, QueryRun]:
    """Both orders of every query, from the cache where nothing has changed since."""
    prefix = key_prefix(library.generation(), searcher.models, candidates)
    runs: dict[str, QueryRun] = {}
    with ResultCache(library.folder) as cache:
        for number, (query, text) in enumerate(judged.queries.items(), start=1):
            key = digest(prefix, text)
            run = cache.get(key)
            if run is None:
                run = ask(searcher, text, candidates)
                cache.put(key, run)
            runs[query] = run
            if on_progress is not None:
                on_progress(number, len(judged.queries))
    return runs


def ask(searcher: Searcher, text: str, candidates: int) -> QueryRun:
    """One query's documents in both orders, and the milliseconds of encoding, retrieving and reranking."""
    result = searcher.search(text, candidates)
    before = documents(result.before)
    run = QueryRun(before, documents(hit.candidate for hit in result.after), result.timings.total)
    if result.before and not result.reranked:
        # Only the notice of this search says why; those before it come with every answer.
        return replace(run, after=before, failure=result.notices[-1])
    return run


def documents(passages: Iterable[Candidate]) -> tuple[str, ...]:
    """Corpus ids in the order of each document's best passage (MaxP), without repeats.

    After Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling" (2019).
    """
    return tuple(dict.fromkeys(document_id(passage.chunk.path) for passage in passages))


def _standing_notices(judged: JudgedSet, searcher: Searcher) -> tuple[str, ...]:
    """What the searcher says with every answer, of the models for one."""
    any_query = next(iter(judged.queries.values()))
    return searcher.first_look(any_query, candidates=1).notices


def _failures(runs: dict[str, QueryRun]) -> tuple[str, ...]:
    failed = [run.failure for run in runs.values() if run.failure]
    if not failed:
        return ()
    return (f"{len(failed)} of {len(runs)} queries were not reranked and count as unchanged. {failed[0]}",)
