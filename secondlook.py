"""The public door: Second Look in Python. Names are imported when they are first used, so that importing this is quick.

    from pathlib import Path
    from secondlook import Library, Manifest, ModelChoice, SearchRequest, default_encoder
    from secondlook import ingest, open_searcher, resolve_models, walk

    encoder = default_encoder()
    library = Library.create(Path("my-library"), Manifest.of(encoder.model.spec))
    ingest(list(walk([Path("reports")])), library, encoder)
    searcher = open_searcher(library, resolve_models(ModelChoice(), library, encoder))
    result = searcher.search(SearchRequest("when may the tenant leave early?"))
    for hit in result.after[:10]:
        print(hit.rank, "was", hit.candidate.rank, hit.candidate.chunk.text)

A second reranker, other candidates, a time limit: `ModelChoice` and `SearchRequest`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers, which do not follow names that are imported when they are used
    from ingest.encoders.base import Encoder
    from ingest.errors import SecondLookError
    from ingest.library.archive.export import export_library
    from ingest.library.archive.importing import import_library
    from ingest.library.labels import Labels
    from ingest.library.library import Library, Manifest
    from ingest.pipeline import ingest
    from ingest.records import Chunk, Document, FileStatus, IngestReport
    from ingest.sources import Source, walk
    from rerank.evaluation.plan import evaluate
    from rerank.factory import ModelChoice, open_searcher, resolve_models
    from rerank.judged.dataset import read_judged_set
    from rerank.records import RankedHit, SearchResult
    from rerank.request import SearchRequest
    from rerank.search import Searcher
    from retrieval.records import Candidate

# Where each name lives. What is here stays; what is not may move.
_PLACES = {
    "Candidate": "retrieval.records",
    "Chunk": "ingest.records",
    "Document": "ingest.records",
    "FileStatus": "ingest.records",
    "IngestReport": "ingest.records",
    "Labels": "ingest.library.labels",
    "Library": "ingest.library.library",
    "Manifest": "ingest.library.library",
    "ModelChoice": "rerank.factory",
    "RankedHit": "rerank.records",
    "SearchRequest": "rerank.request",
    "SearchResult": "rerank.records",
    "Searcher": "rerank.search",
    "SecondLookError": "ingest.errors",
    "Source": "ingest.sources",
    "evaluate": "rerank.evaluation.plan",
    "export_library": "ingest.library.archive.export",
    "import_library": "ingest.library.archive.importing",
    "ingest": "ingest.pipeline",
    "open_searcher": "rerank.factory",
    "read_judged_set": "rerank.judged.dataset",
    "resolve_models": "rerank.factory",
    "walk": "ingest.sources",
}

__all__ = [
    "Candidate", "Chunk", "Document", "FileStatus", "IngestReport", "Labels", "Library", "Manifest", "ModelChoice",
    "RankedHit", "SearchRequest", "SearchResult", "Searcher", "SecondLookError", "Source", "default_encoder",
    "evaluate", "export_library", "import_library", "ingest", "open_searcher", "read_judged_set", "resolve_models",
    "walk",
]  # fmt: skip


def default_encoder(allow_downloads: bool = True) -> Encoder:
    """The bi-encoder of the default pair, or the bundled one where that cannot be had (its ``model`` says why)."""
    from ingest.encoders.onnx import open_encoder
    from ingest.models.hub import Hub
    from ingest.models.resolve import resolve_encoder

    return open_encoder(resolve_encoder(None, Hub(allow_downloads)))


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'secondlook' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
