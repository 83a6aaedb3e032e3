"""What each command does: thin faces over the same functions that the page uses."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

from ingest.command import ProgressBar, cancel_on_interrupt, check_chunk_tokens
from ingest.encoders.onnx import open_encoder
from ingest.errors import ModelError, SecondLookError, UsageError
from ingest.installation import shipped_files
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.models.consent import is_service, privacy_notice
from ingest.models.hub.download import PREFETCH
from ingest.models.hub.hub import Hub
from ingest.models.resolve import (
    BUNDLED_ENCODER,
    DEFAULT_ENCODER,
    ENCODER_ALIASES,
    ENCODERS,
    ResolvedModel,
    resolve,
    resolve_encoder,
)
from ingest.models.served import SERVER, is_served_name
from ingest.models.trust import allow
from ingest.pipeline import ingest, rebuild
from ingest.records import IngestProgress
from ingest.terminal import one_line
from rerank.engines.choose import engine_of, is_pending, runs_on_torch
from rerank.factory import encoder_for
from rerank.registry import (
    BUNDLED_RERANKER,
    DEFAULT_RERANKER,
    LATE_INTERACTION,
    RERANKER_ALIASES,
    resolve_reranker,
)
from ui.model_list import checksum_words, known_encoders, known_rerankers, model_table
from ui.page import samples
from ui.server.access import is_loopback
from ui.server.start import require_free
from ui.settings import Settings
from ui.token_vectors import store_and_say


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
        print(
            f"{document.id}  {document.title}  ({document.chunks} passages{pages})  {one_line(document.path)}"
        )
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
    """`secondlook rebuild`: every document cut and embedded again, token vectors where they are wanted."""
    library = Library(settings.library)
    tokens = library.manifest().chunk_tokens if parsed.chunk_tokens is None else parsed.chunk_tokens
    check_chunk_tokens(tokens)
    hub = Hub(settings.allow_downloads)
    encoder = open_encoder(encoder_for(None, settings.models, hub), access=settings.services)
    with ProgressBar() as bar:
        count = rebuild(library, encoder, tokens, bar.show)
    print(f"Rebuilt {count} documents with {encoder.model.name}.", file=sys.stderr)
    return store_and_say(library, hub, trusting=settings.trusting)


def models(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook models [prefetch [NAME…]]`: the pair that answers, and why that one."""
    if parsed.action == "prefetch":
        return prefetch(Hub(settings.allow_downloads, patience=PREFETCH), parsed.names)
    hub = Hub(settings.allow_downloads)
    rows = []
    for kind, find, name in (
        ("encoder", partial(resolve_encoder, access=settings.services), settings.encoder),
        ("reranker", partial(resolve_reranker, access=settings.services), settings.reranker),
    ):
        model = find(name, hub)
        rows.append(_model_row(kind, model, settings.engine))
    encoders, known = known_encoders(hub, settings.services), known_rerankers(hub, settings.services)
    if parsed.json:
        _print_json({"models": rows, "encoders": encoders, "rerankers": known})
        return 0
    for row in rows:
        print(f"{row['use']}: {row['name']}")
        print(f"    from {row['source']} ({row['folder']}), {row['megabytes']} MB")
        window = f", at most {row['window']} of a passage" if row["window"] else ""
        print(
            f"    revision {row['revision']}, licence {row['licence']}, {row['languages']}, {row['max_length']} tokens"
            f"{window}"
        )
        print(f"    weights: {row['checksum']}")
        print(f"    runs on {row['engine']}")
        if row.get("why"):
            print(f"    because {row['why']}")
        for attempt in row["tried"]:
            print(f"    tried before: {attempt}")
    print(f"\n{model_table('encoder', encoders)}\n\n{model_table('reranker', known)}")
    return 0


def _model_row(use: str, model: ResolvedModel, wanted: str) -> dict[str, Any]:
    spec = model.spec
    row: dict[str, Any] = {
        "use": use, "name": spec.name, "architecture": spec.architecture, "source": str(model.source),
        "folder": spec.revision if is_service(model) else str(model.folder),
        "megabytes": round(model.size_bytes / 1e6, 1), "revision": spec.revision,
        "licence": spec.licence, "languages": spec.languages, "max_length": spec.max_length, "dim": spec.dim,
        "window": spec.window, "query_prefix": spec.query_prefix, "passage_prefix": spec.passage_prefix,
        "tried": list(model.tried), "checksum": checksum_words(model),
    }  # fmt: skip
    return row | _engine(model, wanted)


def _engine(model: ResolvedModel, wanted: str) -> dict[str, Any]:
    """What runs the model here, and why, as far as that was settled by running it once."""
    if notice := privacy_notice(model):
        return {"engine": "a service", "why": f"it was asked for. {notice}"}
    if model.spec.architecture == "bi-encoder":
        return {"engine": "onnxruntime fp32"}
    if model.spec.architecture not in ("cross-encoder", "onnx-cross-encoder"):
        return {"engine": "torch"}
    if runs_on_torch(model, wanted):
        return {
            "engine": "torch",
            "why": "there is a GPU" if wanted == "auto" else "SECONDLOOK_ENGINE asks for it",
        }
    chosen = engine_of(model, wanted=wanted)
    if chosen is None:
        return {"engine": _pending(model, wanted)}
    threads = chosen.threads
    return {
        "engine": str(chosen), "why": chosen.why, "arithmetic": chosen.name, "agreement": chosen.agreement,
        "reference": chosen.reference, "threads": threads.count,
        "tokens_per_second": threads.tokens_per_second, "machine": chosen.machine,
    }  # fmt: skip


def _pending(model: ResolvedModel, wanted: str) -> str:
    if is_pending(model, wanted=wanted):
        return "onnxruntime fp32, until the page has chosen what is fastest here (after its first search)"
    return "what the first search finds fastest here (it measures for half a minute, once)"


def prefetch(hub: Hub, names: Sequence[str] = ()) -> int:
    """Fetch models into the hub's cache, the default pair where none is named, for a time without a network."""
    hub.forget()
    failed = 0
    for name in names or (DEFAULT_ENCODER, DEFAULT_RERANKER):
        try:
            model = _found(name, hub)
        except ModelError as error:
            print(error, file=sys.stderr)
            failed = 1
        else:
            where = (
                "nothing to fetch, it is a service"
                if is_service(model)
                else f"{model.source}, {model.folder}"
            )
            print(f"{model.name}: {where}", file=sys.stderr)
    return failed


def _found(name: str, hub: Hub) -> ResolvedModel:
    """The model of that name, whichever of the two kinds it is. Raises `ModelError`."""
    full = ENCODER_ALIASES.get(name, name)
    if full in ENCODERS and full != BUNDLED_ENCODER:
        return resolve(ENCODERS[full], hub)
    if is_served_name(name) and not name.startswith(SERVER):
        return resolve_encoder(name, hub)
    return resolve_reranker(name, hub)


def serve(parsed: argparse.Namespace, settings: Settings) -> int:
    """`secondlook serve`: make the sample library where there is none, then run the page. Does not return."""
    if not 1 <= parsed.port <= 65535:
        raise UsageError(f"--port must be between 1 and 65535; {parsed.port} was given.")
    if not is_loopback(parsed.address):
        _say_what_guards(parsed.address, settings)
    require_free(parsed.address, parsed.port)
    if not parsed.no_sample:
        _see_to_the_samples(settings)
    if parsed.trust_encoder and Library.exists(settings.library):
        # remembered, for the page that is another process
        allow(Library(settings.library).manifest().encoder)
    environment = os.environ | {
        "SECONDLOOK_LIBRARY": str(settings.library.resolve()),
        "SECONDLOOK_ENCODER": _from_anywhere(settings.encoder),
        "SECONDLOOK_RERANKER": _from_anywhere(settings.reranker),
        "SECONDLOOK_DOWNLOADS": "1" if settings.allow_downloads else "0",
        "SECONDLOOK_ALLOW_SERVICES": ",".join(sorted(settings.services.allowed)),
        "SECONDLOOK_PASSWORD_FILE": str(settings.access.password_file or ""),
    }
    command = [sys.executable, "-m", "streamlit", "run", str(shipped_files() / "app.py")]
    command += ["--server.port", str(parsed.port), "--server.address", parsed.address]
    # Neither a module nor a .streamlit folder of where the person works is taken for ours.
    os.chdir(shipped_files())
    os.execve(sys.executable, command, environment)


def _from_anywhere(model: str | None) -> str:
    """A model's name as it is, and a folder's as it means the same from where Streamlit is started."""
    names = {*ENCODER_ALIASES, *RERANKER_ALIASES, BUNDLED_RERANKER, LATE_INTERACTION}
    if not model or model in names or not Path(model).is_dir():
        return model or ""
    return str(Path(model).resolve())


def _say_what_guards(address: str, settings: Settings) -> None:
    """What stands in front of a page that others can reach. Raises `UsageError` where nothing would."""
    from ui.server.start import protection_at  # imports Streamlit, which no other command should wait for

    with chdir(shipped_files()):  # where Streamlit will look for its secrets
        way = protection_at(address, settings).way
    print(
        f"Served to the network; visitors are known {way}. Without TLS, whoever listens on the network hears all.",
        file=sys.stderr,
    )


def _see_to_the_samples(settings: Settings) -> None:
    """Make the sample library where there is none, and go on with it where a start died over that."""
    if not Library.exists(settings.library):
        make_sample_library(settings)
        return
    try:
        if samples.pending(Library(settings.library)):
            make_sample_library(settings)
    except (
        SecondLookError
    ) as error:  # the page is served all the same, and says what is wrong with its library
        print(error, file=sys.stderr)


def make_sample_library(settings: Settings) -> None:
    """Ingest the sample documents into the library of the settings: all of them, or those that it still waits for."""
    library = Library(settings.library) if Library.exists(settings.library) else None
    print("Making the sample library (once)…", file=sys.stderr, flush=True)
    model = encoder_for(library, settings.models, Hub(settings.allow_downloads))
    if model.missed:
        print(f"{model.missed}; {model.name} is used.", file=sys.stderr)
    encoder = open_encoder(model, access=settings.services)
    library = library or samples.library_for(settings.library, Manifest.of(encoder.model.spec))

    def show(progress: IngestProgress) -> None:
        bar.show(progress)
        if progress.report is not None:
            samples.added(library, progress.report.path)

    sources = samples.pending(library)
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        report = ingest(sources, library, encoder, on_progress=show, cancelled=cancelled)
    if report.cancelled:
        raise KeyboardInterrupt
    print(f"{len(report.files)} sample documents in {report.seconds:.1f} s.", file=sys.stderr)


def _print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    print()
