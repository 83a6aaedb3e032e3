"""What leaves the page: the shown passages as context for a language model, both orders as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from ingest.records import Chunk
from rerank.calibration.reading import Reading
from rerank.records import RankedHit, SearchResult, by_chunk_id
from retrieval.records import Candidate
from ui.words import location

# A cell that begins with one of these is read as a formula by spreadsheet programs (OWASP, "CSV
# injection"); the last four are the full-width forms that some of them accept too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

CSV_COLUMNS = (
    "before_rank", "after_rank", "movement", "cosine", "logit", "cross_logit", "relevance", "probability",
    "title", "path", "page", "page_end", "heading", "start", "end", "text",
)  # fmt: skip


def as_context(result: SearchResult, top_k: int) -> str:
    """The first ``top_k`` passages as plain text with numbered citations, in the order that is shown.

    That is the reranked order as far as there is one, then the bi-encoder's. Passages stand word for word.
    """
    shown = result.reordered[:top_k]
    blocks = [f"Question: {result.query}"]
    blocks += [f"[{n}] {citation(c.chunk)}\n{c.chunk.text.strip()}" for n, c in enumerate(shown, start=1)]
    return "\n\n".join(blocks) + "\n"


def citation(chunk: Chunk) -> str:
    """Where a passage is from, on one line: "Title, p. 4 (path)", or whatever of it is known."""
    named = ", ".join(part for part in (chunk.title or chunk.path, location(chunk)) if part)
    cited = f"{named} ({chunk.path})" if chunk.title else named
    return " ".join(cited.split())


def to_csv(result: SearchResult, reading: Reading | None = None) -> str:
    """One row per candidate with its place in both orders, in the reranked order as far as there is one.

    ``probability`` is filled where ``reading`` is a fitted one. Numbers keep their full precision and sign; what
    was not scored has empty cells. Text that a spreadsheet would run as a formula is made harmless by an
    apostrophe before it, as spreadsheets themselves do; all other text is unchanged. Write it as UTF-8 with a
    byte order mark for Excel.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    hits = by_chunk_id(result.after)
    fitted = probabilities(reading)
    writer.writerows(_row(c, hits.get(c.chunk.id), fitted.get(c.chunk.id)) for c in result.reordered)
    return out.getvalue()


def probabilities(reading: Reading | None) -> Mapping[int, float]:
    """Fitted probabilities by chunk id; nothing for another reading, whose numbers are no probabilities."""
    return reading.values if reading is not None and reading.method.fitted else {}


def _row(
    candidate: Candidate, hit: RankedHit | None, probability: float | None
) -> list[str | int | float | None]:
    chunk = candidate.chunk
    numbers = (hit.rank, hit.movement, hit.logit, hit.cross_logit, hit.relevance) if hit else (None,) * 5
    after_rank, movement, logit, cross_logit, relevance = numbers
    return [
        candidate.rank, after_rank, movement, candidate.score, logit, cross_logit, relevance, probability,
        harmless(chunk.title), harmless(chunk.path), chunk.page, chunk.page_end,
        harmless(" › ".join(chunk.heading)), chunk.start, chunk.end, harmless(chunk.text),
    ]  # fmt: skip


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula.

    White space before the sign does not protect: some programs trim it first.
    """
    formula = text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if formula else text


def to_json(result: SearchResult, reading: Reading | None = None) -> str:
    """Both orders whole, with timings (milliseconds), models and notices, as indented JSON.

    ``method`` is how the page reads the scores, and ``probability`` a number where that is a fitted calibration.
    """
    fitted = probabilities(reading)
    models = result.models
    record = {
        "query": result.query,
        "before": [_before(candidate) for candidate in result.before],
        "after": [_after(hit, fitted.get(hit.candidate.chunk.id)) for hit in result.after],
        "method": str(reading.method) if reading is not None else None,
        "timings_ms": {
            "encode": result.timings.encode,
            "retrieve": result.timings.retrieve,
            "rerank": result.timings.rerank,
            "total": result.timings.total,
        },
        "models": {
            "encoder": models.encoder.name,
            "reranker": models.reranker.name if models.reranker else None,
        },
        "candidates": len(result.before),
        "scored": result.scored,
        "stopped": result.stopped,
        "notices": list(result.notices),
    }
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _place(chunk: Chunk) -> dict[str, Any]:
    return {
        "document": chunk.title or chunk.path,
        "path": chunk.path,
        "page": chunk.page,
        "page_end": chunk.page_end,
        "heading": list(chunk.heading),
        "start": chunk.start,
        "end": chunk.end,
    }


def _before(candidate: Candidate) -> dict[str, Any]:
    place = _place(candidate.chunk)
    return {"rank": candidate.rank, **place, "score": candidate.score, "text": candidate.chunk.text}


def _after(hit: RankedHit, probability: float | None) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "before_rank": hit.candidate.rank,
        **_place(hit.candidate.chunk),
        "score": hit.candidate.score,
        "logit": hit.logit,
        "cross_logit": hit.cross_logit,
        "relevance": hit.relevance,
        "probability": probability,
        "text": hit.candidate.chunk.text,
    }
