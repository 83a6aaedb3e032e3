"""Labelled scores of a judged set, or of judgements of passages: what the reranker says of what people judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from ingest.errors import ModelError
from ingest.library.library import Library
from ingest.notices import Notice, NoticeKind
from rerank.calibration.labels import Labelled
from rerank.evaluation.scoring import ScoredQuery, score_queries
from rerank.judged.records import JudgedSet
from rerank.request import SearchRequest
from rerank.search import OnProgress, Searcher
from retrieval.fusion import mixed
from retrieval.records import CandidateSource

# trec_eval's: every grade from 1 on counts as relevant.
MIN_GRADE = 1


class Unjudged(StrEnum):
    """What becomes of candidates that nobody judged."""

    NOT_RELEVANT = "non-relevant"
    SKIP = "skip"


def label_candidates(
    judged: JudgedSet,
    library: Library,
    searcher: Searcher,
    candidates: int,
    *,
    unjudged: Unjudged = Unjudged.NOT_RELEVANT,
    min_grade: int = MIN_GRADE,
    on_progress: OnProgress | None = None,
    source: CandidateSource = CandidateSource.VECTORS,
) -> tuple[list[Labelled], tuple[Notice, ...]]:
    """A row a candidate document of every query, with the logit of its best passage, and notices.

    Qrels judge documents, so that a document counts once (MaxP), as in an evaluation. Candidates are found by
    ``source``. Scores come from the cache beside ``library`` where they stand. Raises `ModelError` where there is no
    reranker.
    """
    if searcher.spec is None:
        raise ModelError("There is no reranker whose scores could be calibrated.")
    scored = score_queries(judged.queries, library, searcher, candidates, on_progress, source)
    rows = []
    for query, query_scores in scored.items():
        grades = judged.qrels[query]
        for document, logit in _best_logits(query_scores, searcher.spec.bi_weight).items():
            if document in grades or unjudged is Unjudged.NOT_RELEVANT:
                rows.append(Labelled(query, logit, grades.get(document, 0) >= min_grade))
    return rows, _failures(scored)


def label_passages(
    judgements: Mapping[str, Mapping[str, int]],
    searcher: Searcher,
    candidates: int,
    min_grade: int = MIN_GRADE,
    on_progress: OnProgress | None = None,
    source: CandidateSource = CandidateSource.VECTORS,
) -> list[Labelled]:
    """A row a judged passage that is among its question's candidates, found by ``source``.

    ``judgements`` is ``{question: {passage hash (`Chunk.passage_hash`): grade}}``. Every question is searched
    for; one that could not be reranked gives no rows.
    """
    rows = []
    for number, (question, grades) in enumerate(judgements.items(), start=1):
        for hit in searcher.search(SearchRequest(question, candidates, source)).after:
            grade = grades.get(hit.candidate.chunk.passage_hash)
            if grade is not None:
                rows.append(Labelled(question, hit.logit, grade >= min_grade))
        if on_progress is not None:
            on_progress(number, len(judgements))
    return rows


def _best_logits(scored: ScoredQuery, bi_weight: float) -> dict[str, float]:
    """``{document: the highest number that the order goes by of its passages}``."""
    combined = mixed(scored.logits, scored.cosines[: len(scored.logits)], bi_weight)
    best: dict[str, float] = {}
    for document, logit in zip(
        scored.documents, combined.tolist(), strict=False
    ):  # a failed query has no logits
        best[document] = max(logit, best.get(document, logit))
    return best


def _failures(scored: Mapping[str, ScoredQuery]) -> tuple[Notice, ...]:
    failed = [row.failure for row in scored.values() if row.failure]
    if not failed:
        return ()
    counts = f"{len(failed)} of {len(scored)} queries could not be scored and are left out."
    return (replace(failed[0], kind=NoticeKind.UNSCORED, text=f"{counts} {failed[0].text}"),)
