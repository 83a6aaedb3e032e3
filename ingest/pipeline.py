"""ingest(): files → documents → chunks → vectors → a published generation, one report a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ingest.costs import billing
from ingest.encoder import Encoder
from ingest.errors import CancelledError
from ingest.intake import Intake, OnProgress, Source
from ingest.library import DATABASE, LOCK, VECTORS, Library, Manifest
from ingest.readers import Limits
from ingest.records import IngestReport
from ingest.token_store import FILE as TOKEN_VECTORS
from ingest.vectors import NAME
from ingest.writer import writing

# How the names of a library's own files begin (SQLite's have further ones beside them); later stages keep the last two.
LIBRARY_FILES = (DATABASE, TOKEN_VECTORS, LOCK, "calibration.json", "evaluation-cache.sqlite")


def walk(paths: Iterable[Path]) -> Iterator[Source]:
    """The files of ``paths``, folders walked in order of name.

    Hidden files and folders are passed over, and those of a library that lies among them.
    """
    for path in paths:
        if not os.path.isdir(path):  # a name that is too long is none, where pathlib raises
            yield Source.of_path(path)
            continue
        for inside in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in inside.relative_to(path).parts)
            if inside.is_file() and not hidden and not _is_of_a_library(inside):
                yield Source.of_path(inside)


def _is_of_a_library(path: Path) -> bool:
    if path.parent.name == VECTORS and NAME.fullmatch(path.name):
        return Library.exists(path.parent.parent)
    return path.name.startswith(LIBRARY_FILES) and Library.exists(path.parent)


def ingest(
    sources: Sequence[Source],
    library: Library,
    encoder: Encoder,
    *,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
    limits: Limits | None = None,
) -> IngestReport:
    """Add files to the library; what is there already is neither stored nor embedded again.

    Every file ends with a report, and a file that cannot be read never stops the others. A report of
    ``indexed`` is given only once searches find the file. ``cancelled`` is asked between batches: when it
    says yes, the files finished so far are published and the rest are left as they were. Raises
    `EncoderMismatchError` if another encoder made the library, `LibraryBusyError` if another process
    is writing to it, `ServiceError` where the encoder is a service that fails.
    """
    library.require_encoder(encoder.model.spec)
    started = time.perf_counter()
    with billing() as bill, writing(library) as writer:
        run = Intake(
            writer,
            encoder,
            len(sources),
            on_progress,
            cancelled or (lambda: False),
            limits or Limits(),
            sources,
        )
        try:
            for number, source in enumerate(sources, start=1):
                run.add(number, source)
        except CancelledError:
            run.stopped = True
        run.publish()
    return IngestReport(tuple(run.reports), time.perf_counter() - started, run.stopped, bill)


def rebuild(
    library: Library, encoder: Encoder, chunk_tokens: int, on_progress: OnProgress | None = None
) -> int:
    """Cut and embed every document again with this encoder; the number of documents.

    The stored text is what is read, so the files need not be there. Searches see the old state until
    the new one is whole.
    """
    with writing(library) as writer:
        writer.adopt(Manifest.of(encoder.model.spec, chunk_tokens))
        count = writer.stored_count()
        run = Intake(writer, encoder, count, on_progress, lambda: False, Limits())
        for number, (source, document) in enumerate(writer.stored_documents(), start=1):
            run.at = (document.path, number)
            run.stage(source, document)
        run.embed_window()
        writer.publish()
    return count
