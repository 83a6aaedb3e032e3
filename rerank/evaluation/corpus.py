"""The library of a judged set: made once, brought up to date, kept for the next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from ingest.encoder import Encoder
from ingest.errors import CancelledError, DamagedFileError
from ingest.hub import Hub
from ingest.intake import OnProgress
from ingest.library import Library, Manifest
from ingest.models import ModelSpec, ResolvedModel
from ingest.pipeline import ingest
from ingest.records import FileStatus, IngestReport, digest
from ingest.writer import writing
from rerank.evaluation.dataset import document_id
from rerank.evaluation.records import JudgedSet
from rerank.opening import ModelChoice, encoder_for

SHOWN = 3


def default_folder(judged: JudgedSet, encoder: ModelSpec) -> Path:
    """Where a judged set's own library lies: in the user's cache folder, one for each path and encoder."""
    name = f"{judged.folder.name}-{digest(str(judged.folder), encoder.identity)[:12]}"
    return Path(platformdirs.user_cache_dir("second-look")) / "evaluation" / name


def choose_library(judged: JudgedSet, wanted: Path | None, choice: ModelChoice) -> tuple[Path, ResolvedModel]:
    """The folder of the library (``wanted``, else the set's own) and the encoder for it.

    Raises `ModelError`, and `EncoderMismatchError` where the one asked for did not make ``wanted``.
    """
    hub = Hub(choice.allow_downloads)
    if wanted is not None:
        existing = Library(wanted) if Library.exists(wanted) else None
        return wanted, encoder_for(existing, choice, hub)
    model = encoder_for(None, choice, hub)
    return default_folder(judged, model.spec), model


def fill_library(
    judged: JudgedSet,
    folder: Path,
    encoder: Encoder,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Library, tuple[str, ...]]:
    """The library in ``folder`` with every document of the set, and notices about those it cannot hold.

    The set's own library also loses what the set no longer holds; any other one may hold more documents,
    and keeps them. Raises `CancelledError`, and `DamagedFileError` where nothing can be indexed or no judged document
    is found.
    """
    library = Library.create(folder, Manifest.of(encoder.model.spec))
    report = ingest(list(judged.corpus), library, encoder, on_progress=on_progress, cancelled=cancelled)
    if report.cancelled:
        raise CancelledError("Stopped. What was indexed is kept; run the same command again to go on.")
    if folder == default_folder(judged, encoder.model.spec):
        _drop_leftovers(judged, library)
    return library, _notices(judged, library, report)


def _drop_leftovers(judged: JudgedSet, library: Library) -> None:
    """Delete documents whose files left the set; entries that left a corpus.jsonl are ingest's own business."""
    files = {source.name for source in judged.corpus}
    gone = [
        d.id for d in library.documents() if d.path not in files and d.path.partition("#")[0] not in files
    ]
    if gone:
        with writing(library) as writer:
            writer.delete(gone)


def _notices(judged: JudgedSet, library: Library, report: IngestReport) -> tuple[str, ...]:
    """What could not be indexed, and which relevant documents no search can find."""
    notices = [
        f"Left out: {file.path}. {file.reason}"
        for file in report.files
        if file.status in (FileStatus.REFUSED, FileStatus.DUPLICATE)
    ]
    held = {document_id(document.path) for document in library.documents()}
    if not held:
        reasons = [file.reason for file in report.files if file.reason]
        raise DamagedFileError(
            f"No document of {judged.name} could be indexed: {' '.join(reasons[:SHOWN]) or 'it holds none.'}"
        )
    relevant = {name for grades in judged.qrels.values() for name, grade in grades.items() if grade > 0}
    lost = sorted(relevant - held)
    if relevant and len(lost) == len(relevant):
        raise DamagedFileError(
            f"None of the {len(relevant)} relevant documents of {judged.name}'s qrels/{judged.split}.tsv is in its "
            f"corpus (“{lost[0]}”, say). Their ids must be the corpus's _id, or the files' names with suffix."
            + "".join(f" {notice}" for notice in notices[:SHOWN])
        )
    if lost:
        notices.append(
            f"{len(lost)} of {len(relevant)} relevant documents are not in the corpus and count as not found: "
            f"{', '.join(lost[:SHOWN])}{', …' if len(lost) > SHOWN else ''}."
        )
    return tuple(notices)
