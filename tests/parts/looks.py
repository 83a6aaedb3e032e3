"""Searches small enough to work out by hand, for the tests of the page's words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.records import Chunk
from rerank.records import Models, RankedHit, SearchResult, Timings
from retrieval.records import Candidate


def chunk(number: int, text: str = "", **fields: object) -> Chunk:
    """Chunk ``number``, on page ``number`` unless told otherwise."""
    text = text or f"Passage {number}."
    given: dict[str, object] = {
        "id": number, "document_id": "0" * 12, "title": f"Title {number}", "path": f"doc{number}.md",
        "page": number, "page_end": number, "heading": (), "start": 0, "end": len(text), "text": text,
    }  # fmt: skip
    return Chunk(**{**given, **fields})  # type: ignore[arg-type]


def candidates(count: int, *special: Chunk) -> tuple[Candidate, ...]:
    """Chunks 1 … count at places 1 … count, ``special`` ones in the place of their id."""
    replaced = {piece.id: piece for piece in special}
    return tuple(Candidate(replaced.get(n, chunk(n)), n, 0.9 - n / 100) for n in range(1, count + 1))


def _model(kind: ModelKind, architecture: str) -> ResolvedModel:
    spec = ModelSpec(f"the {architecture}", kind, architecture, "0" * 40, "Apache-2.0", 256)
    return ResolvedModel(spec, ModelSource.BUNDLED, Path("nowhere"))


def search(before: Sequence[Candidate], order: Sequence[int], **fields: object) -> SearchResult:
    """The candidates reranked: chunk ids in ``order`` first, the others after them as they stood."""
    by_id = {candidate.chunk.id: candidate for candidate in before}
    ids = [*order, *(n for n in by_id if n not in order)] if order else []
    after = tuple(
        RankedHit(by_id[n], rank, 3.0 - rank, 1 / (1 + rank), 3.0 - rank)
        for rank, n in enumerate(ids, start=1)
    )
    models = Models(_model(ModelKind.ENCODER, "bi-encoder"), _model(ModelKind.RERANKER, "cross-encoder"))
    given: dict[str, object] = {"timings": Timings(20.0, 5.0, 975.0), "models": models}
    return SearchResult("a question", tuple(before), after, **{**given, **fields})  # type: ignore[arg-type]
