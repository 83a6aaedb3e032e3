"""ingest(): files → documents → chunks → vectors → a published generation, one report a file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ingest.encoders.base import Encoder
from ingest.errors import CancelledError
from ingest.intake import Intake, OnProgress, Source
from ingest.library.index_files import NAME
from ingest.library.library import DATABASE, LOCK, VECTORS, Library, Manifest
from ingest.library.token_vectors import FILE as TOKEN_VECTORS
from ingest.library.writer import writing
from ingest.readers import Limits
from ingest.records import IngestReport
from ingest.services.billing import billing
from ingest.sources import NO_FILE

# How the names of a library's own files begin (SQLite's have further ones beside them); later stages keep the last two.
LIBRARY_FILES = (DATABASE, TOKEN_VECTORS, LOCK, "calibration.json", "evaluation-cache.sqlite")


def walk(paths: Iterable[Path]) -> Iterator[Source]:
    """The files of ``paths``, folders walked in order of name.

    Hidden files and folders are passed over, and those of a library that lies among them. What cannot be read (a
    folder that is locked, a path that is too long, a pipe) and what is not followed (a link to a folder, or out of the
    one that is walked) is among them with its fault.
    """
    for path in paths:
        if os.path.isdir(path):  # a name that is too long is none, where pathlib raises
            yield from _inside(path)
        else:
            yield Source.of_path(path)


def _inside(root: Path) -> Iterator[Source]:
    """The files of a folder. Without recursion: folders nest without bound."""
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            mode = os.stat(path, follow_symlinks=path is root).st_mode
            if stat.S_ISDIR(mode):
                names = sorted((name for name in os.listdir(path) if not name.startswith(".")), reverse=True)
                waiting += [path / name for name in names]
                continue
        except OSError as error:
            fault = f"cannot be read ({error.strerror or error}), nor what may be in it; check that it may be read."
            yield Source.unreachable(path, fault)
            continue
        if not _is_of_a_library(path):
            fault = (
                _fault_of_link(path, root) if stat.S_ISLNK(mode) else "" if stat.S_ISREG(mode) else NO_FILE
            )
            yield Source.unreachable(path, fault) if fault else Source.of_path(path)


def _fault_of_link(link: Path, root: Path) -> str:
    """Why a link is not followed, "" where it leads to a file of the folder that is walked."""
    try:
        target = Path(os.path.realpath(link, strict=True))
        mode = target.stat().st_mode
    except OSError as error:
        return f"is a link that leads nowhere ({error.strerror or error}); mend or remove it."
    if stat.S_ISDIR(mode):
        return "is a link to a folder, which is not followed; add that folder by its own path."
    if not target.is_relative_to(os.path.realpath(root)):
        return "is a link that leads out of the folder, and is not followed; add the file by its own path."
    return "" if stat.S_ISREG(mode) else NO_FILE


def _is_of_a_library(path: Path) -> bool:
    folder = path.parent
    if folder.name == VECTORS and NAME.fullmatch(path.name):
        folder = folder.parent
    elif not path.name.startswith(LIBRARY_FILES):
        return False
    return os.path.isfile(
        folder / DATABASE
    )  # as `Library.exists`, which raises where a folder may not be searched


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
