"""A search result as JSON: one form for `secondlook search --json` and for what the page lets one take along. Pure.

docs/search-json.md lists the fields; `SCHEMA` counts what a reader would trip over: a field that is gone or means
something else. A field that is new is no new schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ingest.notices import Notice
from rerank.agreement import agreement
from rerank.calibration.reading import Reading
from rerank.ensemble import own_order
from rerank.records import Part, RankedHit, SearchResult
from retrieval.records import Candidate
from ui.presentation.remedies import failure_text, notice_text

SCHEMA = 1


def result_json(
    result: SearchResult,
    reading: Reading | None = None,
    other: Part | None = None,
    *,
    places: int | None = None,
    shown: int | None = None,
    notices: Sequence[Notice] | None = None,
) -> dict[str, Any]:
    """The result as plain data, as docs/search-json.md describes it.

    ``places`` of each order are given and ``shown`` of the second one, ``None`` for all of them. ``other`` is what a
    second reranker made of the same candidates. ``notices`` are what is said of the result, by default `notices_of`.
    """
    reranker = result.models.reranker
    name = " and ".join(part.name for part in result.parts) or (reranker.name if reranker else None)
    timings = result.timings
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "query": result.query,
        "before": [_first(candidate) for candidate in result.before[:places]],
        "after": [_second(hit, result, reading) for hit in result.after[:shown]],
        "timings_ms": _milliseconds(
            encode=timings.encode, retrieve=timings.retrieve, rerank=timings.rerank, total=timings.total
        ),
        "models": {"encoder": result.models.encoder.name, "reranker": name},
        "candidates": len(result.before),
        "candidates_from": str(result.source),
        "fusion": str(result.fusion) if result.fusion else None,
        "rerankers": [_part(part, places) for part in result.parts],
        "scored": result.scored,
        "stopped": result.stopped,
        "method": str(reading.method) if reading is not None and result.fusion is None else None,
        "answers_none": failure_text(reading.answers_none) if reading is not None else None,
        "notices": _notices(notices_of(result, reading) if notices is None else notices),
    }
    if other is not None:
        record["other"] = _other(result, other, places)
    return record


def notices_of(
    result: SearchResult, reading: Reading | None, calibration: Notice | None = None
) -> list[Notice]:
    """What is said of a result and of how its scores are read; ``calibration`` is on the one that was looked for."""
    of_scores = (calibration, reading.notice, reading.answers_none) if reading is not None else (calibration,)
    return [*result.notices, *(notice for notice in of_scores if notice is not None)]


def _notices(notices: Sequence[Notice]) -> list[dict[str, str]]:
    return [{"kind": str(notice.kind), "text": notice_text(notice)} for notice in notices]


def _milliseconds(**stages: float) -> dict[str, float]:
    return {stage: round(milliseconds, 2) for stage, milliseconds in stages.items()}


def _passage(candidate: Candidate) -> dict[str, Any]:
    """Where a passage stands, what it says, and what the first look gave it."""
    chunk = candidate.chunk
    return {
        "document_id": chunk.document_id, "path": chunk.path, "title": chunk.title, "page": chunk.page,
        "page_end": chunk.page_end, "heading": list(chunk.heading), "start": chunk.start, "end": chunk.end,
        "by_ocr": chunk.by_ocr, "text": chunk.text,
        "first_score": candidate.ordered_by, "cosine": candidate.score, "bm25": candidate.bm25,
        "vector_rank": candidate.vector_rank, "word_rank": candidate.word_rank,
    }  # fmt: skip


def _first(candidate: Candidate) -> dict[str, Any]:
    return {"rank": candidate.rank, **_passage(candidate)}


def _second(hit: RankedHit, result: SearchResult, reading: Reading | None) -> dict[str, Any]:
    """A place of a second order; without a ``reading``, with the reranker's own relevance alone."""
    number = reading.values.get(hit.candidate.chunk.id) if reading is not None else None
    return {
        "rank": hit.rank, "before_rank": hit.candidate.rank, **_passage(hit.candidate),
        "second_score": hit.logit, "logit": hit.cross_logit, "relevance": hit.relevance,
        "probability": number if reading is not None and reading.method.fitted else None,
        "relative": number if reading is not None and reading.method.relative else None,
        "read": _read(hit, result), "rerankers": [asdict(own) for own in hit.own],
    }  # fmt: skip


def _read(hit: RankedHit, result: SearchResult) -> str:
    """How much of a passage the reranker was given."""
    name = hit.candidate.chunk.id
    if name in result.windows:
        return "window"
    return "beginning" if name in result.truncated else "whole"


def _work(part: Part) -> dict[str, Any]:
    """How far a reranker came, and how long it took; nothing of one that could not be opened."""
    result = part.result
    return {
        "timings_ms": _milliseconds(rerank=result.timings.rerank) if result is not None else {"rerank": None},
        "scored": result.scored if result is not None else 0,
        "stopped": result.stopped if result is not None else None,
    }


def _part(part: Part, places: int | None) -> dict[str, Any]:
    """One of the rerankers that are fused, with its own order, in which a passage goes by its ``before_rank``."""
    reranker = part.result.models.reranker if part.result is not None else None
    order = enumerate(own_order(part)[:places], start=1)
    return {
        "reranker": part.name,
        "model": reranker.name if reranker is not None else None,
        "share": part.share,
        **_work(part),
        "failure": failure_text(part.why_not),
        "order": [
            {"rank": rank, "before_rank": candidate.rank, "logit": logit}
            for rank, (candidate, logit) in order
        ],
    }


def _other(result: SearchResult, other: Part, places: int | None) -> dict[str, Any]:
    """What a second reranker made of the same candidates, and how the two agree."""
    answer = other.result
    count = places or len(result.before)
    agreed = agreement(result, answer, count) if answer is not None and count else None
    notices = [] if other.failure is None else [other.failure]
    notices += answer.notices if answer is not None else ()
    return {
        "reranker": other.name,
        "after": [_second(hit, answer, None) for hit in answer.after[:places]] if answer is not None else [],
        **_work(other),
        "agreement": None if agreed is None else {
            "places": agreed.top_k, "shared": agreed.shared, "same_best": agreed.same_best,
            "kendall_tau": agreed.tau, "compared": agreed.compared,
        },
        "notices": _notices(notices),
    }  # fmt: skip
