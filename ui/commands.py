"""What each command does: thin faces over the same functions that the page uses."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from ingest.command import ProgressBar, cancel_on_interrupt
from ingest.errors import ModelError, UsageError
from ingest.hub import Hub
from ingest.library import Library, Manifest
from ingest.models import DEFAULT_ENCODER, ENCODERS, ResolvedModel, resolve, resolve_encoder
from ingest.onnx_encoder import open_encoder
from ingest.pipeline import ingest, rebuild, walk
from ingest.writer import writing
from rerank.models import DEFAULT_RERANKER, RERANKERS, resolve_reranker
from rerank.records import RankedHit, SearchResult
from rerank.scorers.engine import engine_of
from rerank.search import encoder_for, open_searcher
from retrieval.records import Candidate
from ui.settings import ROOT, SAMPLE, Settings


def search(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook search`: both orders, as JSON or side by side."""
    searcher = open_searcher(Library(settings.library), settings.models)
    result = searcher.search(parsed.query, max(parsed.candidates, parsed.top_k))
    if parsed.json:
        _print_json(search_report(result, parsed.top_k))
    else:
        print(side_by_side(result, parsed.top_k))
    for notice in result.notices:
        print(notice, file=sys.stderr)
    return 0


def search_report(result: SearchResult, top_k: int) -> dict[str, Any]:
    """The search as the JSON that `secondlook search --json` promises.

    ``score`` is the bi-encoder's cosine in both lists, ``logit`` the number that the second order goes by.
    """
    reranker = result.models.reranker
    return {
        "query": result.query,
        "before": [_candidate_row(candidate) for candidate in result.before[:top_k]],
        "after": [_hit_row(hit) for hit in result.after[:top_k]],
        "timings_ms": {
            "encode": round(result.timings.encode, 2),
            "retrieve": round(result.timings.retrieve, 2),
            "rerank": round(result.timings.rerank, 2),
            "total": round(result.timings.total, 2),
        },
        "models": {"encoder": result.models.encoder.name, "reranker": reranker.name if reranker else None},
        "candidates": len(result.before),
        "notices": list(result.notices),
    }


def _candidate_row(candidate: Candidate) -> dict[str, Any]:
    chunk = candidate.chunk
    return {
        "rank": candidate.rank, "document": chunk.path, "document_id": chunk.document_id, "title": chunk.title,
        "page": chunk.page, "heading": list(chunk.heading), "start": chunk.start, "end": chunk.end,
        "score": candidate.score, "text": chunk.text,
    }  # fmt: skip


def _hit_row(hit: RankedHit) -> dict[str, Any]:
    row = _candidate_row(hit.candidate)
    return row | {
        "rank": hit.rank, "before_rank": hit.candidate.rank, "logit": hit.logit, "relevance": hit.relevance,
        "cross_logit": hit.cross_logit,
    }  # fmt: skip


def side_by_side(result: SearchResult, top_k: int) -> str:
    """Both orders as two columns of text, as wide as the terminal."""
    if not result.before:
        return "The library holds no passages yet. Add documents with: secondlook ingest FILES"
    width = max(60, shutil.get_terminal_size((120, 40)).columns) // 2 - 2
    left = ["FIRST LOOK  bi-encoder", ""]
    right = ["SECOND LOOK  reranked" if result.reranked else "SECOND LOOK  not reranked", ""]
    for candidate in result.before[:top_k]:
        left += _lines(f"{candidate.rank:>3}", f"cosine {candidate.score:.3f}", candidate, width)
    for hit in result.after[:top_k]:
        score = f"logit {hit.logit:.2f}" + (
            f"  relevance {hit.relevance:.2f}" if hit.relevance is not None else ""
        )
        right += _lines(f"{hit.rank:>3} {_movement(hit):<5}", score, hit.candidate, width)
    rows = [f"{a:<{width}}  │ {b}".rstrip() for a, b in zip_longest(left, right, fillvalue="")]
    timings = result.timings
    rows.append(
        f"encode {timings.encode:.0f} ms, retrieve {timings.retrieve:.0f} ms, rerank {timings.rerank:.0f} ms; "
        f"{len(result.before)} candidates"
    )
    return "\n".join(rows)


def _lines(place: str, score: str, candidate: Candidate, width: int) -> list[str]:
    chunk = candidate.chunk
    where = f", p. {chunk.page}" if chunk.page else ""
    head = textwrap.shorten(f"{chunk.title}{where}", max(width - len(place) - 1, 10), placeholder="…")
    text = textwrap.shorten(chunk.text, 2 * (width - 4), placeholder=" …")
    return [
        f"{place} {head}",
        f"    {score}",
        *textwrap.wrap(text, width - 4, initial_indent="    ", subsequent_indent="    "),
        "",
    ]


def _movement(hit: RankedHit) -> str:
    if hit.movement == 0:
        return "="
    return f"▲ {hit.movement}" if hit.movement > 0 else f"▼ {-hit.movement}"


def documents(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook documents`: what the library holds."""
    found = Library(settings.library).documents()
    if parsed.json:
        rows = [
            {
                "id": d.id,
                "title": d.title,
                "path": d.path,
                "format": d.format,
                "chunks": d.chunks,
                "pages": d.pages,
            }
            for d in found
        ]
        _print_json({"documents": rows})
        return 0
    for document in found:
        pages = f", {document.pages} pages" if document.pages else ""
        print(f"{document.id}  {document.title}  ({document.chunks} passages{pages})  {document.path}")
    return 0


def delete(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook delete`: a document leaves the next search."""
    library = Library(settings.library)
    document = library.find(parsed.document)
    with writing(library) as writer:
        writer.delete([document.id])
    print(f"Deleted “{document.title}” ({document.chunks} passages).", file=sys.stderr)
    return 0


def rebuild_library(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook rebuild`: every document cut and embedded again."""
    library = Library(settings.library)
    tokens = parsed.chunk_tokens or library.manifest().chunk_tokens
    encoder = open_encoder(resolve_encoder(settings.encoder, Hub(settings.allow_downloads)))
    with ProgressBar() as bar:
        count = rebuild(library, encoder, tokens, bar.show)
    print(f"Rebuilt {count} documents with {encoder.model.name}.", file=sys.stderr)
    return 0


def models(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook models [prefetch]`: the pair that answers, and why that one."""
    hub = Hub(settings.allow_downloads)
    if parsed.action == "prefetch":
        return prefetch(hub)
    rows = []
    for kind, find, name in (
        ("encoder", resolve_encoder, settings.encoder),
        ("reranker", resolve_reranker, settings.reranker),
    ):
        model = find(name, hub)
        rows.append(_model_row(kind, model))
    if parsed.json:
        _print_json({"models": rows})
        return 0
    for row in rows:
        print(f"{row['use']}: {row['name']}")
        print(f"    from {row['source']} ({row['folder']}), {row['megabytes']} MB")
        print(
            f"    revision {row['revision']}, licence {row['licence']}, {row['languages']}, {row['max_length']} tokens"
        )
        print(f"    runs on {row['engine']}")
        for attempt in row["tried"]:
            print(f"    tried before: {attempt}")
    return 0


def _model_row(use: str, model: ResolvedModel) -> dict[str, Any]:
    spec = model.spec
    return {
        "use": use, "name": spec.name, "architecture": spec.architecture, "source": str(model.source),
        "folder": str(model.folder), "megabytes": round(model.size_bytes / 1e6, 1), "revision": spec.revision,
        "licence": spec.licence, "languages": spec.languages, "max_length": spec.max_length, "dim": spec.dim,
        "query_prefix": spec.query_prefix, "passage_prefix": spec.passage_prefix, "tried": list(model.tried),
        "engine": _engine(model),
    }  # fmt: skip


def _engine(model: ResolvedModel) -> str:
    """What runs the model here, as far as that was settled by running it once."""
    if model.spec.architecture == "onnx-cross-encoder":
        return "onnxruntime int8"
    if model.spec.architecture == "cross-encoder":
        return str(engine_of(model) or "chosen at the first search")
    return "onnxruntime fp32" if model.spec.architecture == "bi-encoder" else "torch"


def prefetch(hub: Hub) -> int:
    """Fetch the default pair into the hub's cache, so that a machine works without a network later."""
    hub.forget()
    failed = 0
    for spec in (ENCODERS[DEFAULT_ENCODER], RERANKERS[DEFAULT_RERANKER]):
        try:
            model = resolve(spec, hub)
        except ModelError as error:
            print(error, file=sys.stderr)
            failed = 1
        else:
            print(f"{spec.name}: {model.source}, {model.folder}", file=sys.stderr)
    return failed


def serve(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook serve`: make the sample library where there is none, then run the page. Does not return."""
    if not 1 <= parsed.port <= 65535:
        raise UsageError(f"--port must be between 1 and 65535; {parsed.port} was given.")
    if not parsed.no_sample and not Library.exists(settings.library):
        make_sample_library(settings)
    environment = os.environ | {
        "SECONDLOOK_LIBRARY": str(settings.library.resolve()),
        "SECONDLOOK_ENCODER": settings.encoder or "",
        "SECONDLOOK_RERANKER": settings.reranker or "",
        "SECONDLOOK_DOWNLOADS": "1" if settings.allow_downloads else "0",
    }
    print(f"Second Look is at http://localhost:{parsed.port} (Ctrl-C stops it).", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += [
        "--server.port",
        str(parsed.port),
        "--server.address",
        "127.0.0.1",
        "--server.headless",
        "true",
    ]
    os.chdir(ROOT)  # Streamlit reads .streamlit/config.toml from where it is started
    os.execve(sys.executable, command, environment)


def make_sample_library(settings: Settings) -> None:
    """Ingest the sample documents into the library of the settings."""
    print("Making the sample library (once)…", file=sys.stderr, flush=True)
    model = encoder_for(None, settings.models, Hub(settings.allow_downloads))
    library = Library.create(settings.library, Manifest.of(model.spec))
    sources = list(walk([SAMPLE / "documents"]))
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        report = ingest(sources, library, open_encoder(model), on_progress=bar.show, cancelled=cancelled)
    if report.cancelled:
        raise KeyboardInterrupt
    print(f"{len(report.files)} sample documents in {report.seconds:.1f} s.", file=sys.stderr)


def _print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    print()
