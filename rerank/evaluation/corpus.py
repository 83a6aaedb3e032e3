"""The library of a judged set: made once, brought up to date, kept for the next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingest.cache_folder import kept_in_cache
from ingest.encoders.base import Encoder
from ingest.errors import CancelledError, DamagedFileError, UsageError
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.models.hub import Hub
from ingest.models.spec import ModelSpec, ResolvedModel
from ingest.notices import Help, Notice, NoticeKind, Remedy
from ingest.pipeline import ingest
from ingest.progress import OnProgress
from ingest.records import FileStatus, IngestReport, digest, passage_hash
from rerank.factory import ModelChoice, encoder_for
from rerank.judged.beir import CORPUS, read_rows
from rerank.judged.dataset import document_id
from rerank.judged.records import JudgedSet

SHOWN = 3


def default_folder(judged: JudgedSet, encoder: ModelSpec) -> Path:
    """The folder of a judged set's own library: in the user's cache folder, one for each path and encoder."""
    name = f"{judged.folder.name}-{digest(str(judged.folder), encoder.identity)[:12]}"
    return kept_in_cache("evaluation", name)


def choose_library(judged: JudgedSet, folder: Path | None, choice: ModelChoice) -> tuple[Path, ResolvedModel]:
    """The folder of the library (``folder``, else the set's own) and the encoder for it.

    Raises `ModelError`, `EncoderMismatchError` where the one asked for did not make ``folder``, and `UsageError`
    where the set is an export of labels and ``folder`` a library of something else (see `refuse_labels`).
    """
    hub = Hub(choice.allow_downloads)
    if folder is not None:
        existing = Library(folder) if Library.exists(folder) else None
        if existing is not None and not _is_the_sets(judged, existing):
            refuse_labels(judged.folder, folder)
        return folder, encoder_for(existing, choice, hub)
    model = encoder_for(None, choice, hub)
    return default_folder(judged, model.spec), model


def fill_library(
    judged: JudgedSet,
    folder: Path,
    encoder: Encoder,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
    *,
    into_others: bool = True,
) -> tuple[Library, tuple[Notice, ...]]:
    """The library in ``folder`` with every document of the set, and notices about those it cannot hold.

    The set's own library also loses what the set no longer holds; any other one may hold more documents,
    and keeps them. Without ``into_others`` one that does is taken as it is and gets none. Raises `CancelledError`,
    and `DamagedFileError` or `UsageError` where nothing can be indexed or no judged document is found.
    """
    library = Library.create(folder, Manifest.of(encoder.model.spec))
    if not into_others and not _is_the_sets(judged, library):
        return library, _missing(judged, library)
    report = ingest(
        list(judged.corpus), library, encoder, on_progress=on_progress, cancelled=cancelled, originals=False
    )
    if report.cancelled:
        raise CancelledError("Stopped. What was indexed is kept; do the same again to go on.")
    if folder == default_folder(judged, encoder.model.spec):
        _drop_leftovers(judged, library)
    return library, _notices(judged, library, report)


def refuse_labels(dataset: Path, library: Path) -> None:
    """Raise `UsageError` where ``dataset`` is an export of labels: its documents are passages of a library.

    Taken into the library that they are of, each would stand there twice: judged, and beside itself not judged.
    """
    if _holds_passages(dataset / CORPUS):
        raise UsageError(
            f"{dataset} is an export of labels, whose documents are passages that a library holds already; in "
            f"{library} they would stand twice. Leave it out to learn from the library's own labels.",
            Help(Remedy.CALIBRATE, library, also=Help(Remedy.WEIGH_LABELS, library)),
        )


def _holds_passages(corpus: Path) -> bool:
    """Whether the first document's id is the hash of its own text, as only an export of labels has it."""
    try:
        row = next(read_rows(corpus), None)
    except (UsageError, DamagedFileError):
        return False  # whoever reads the set says what is wrong with it
    if row is None:
        return False
    metadata = row.get("metadata")
    context = str(metadata.get("context") or "") if isinstance(metadata, dict) else ""
    return bool(row["_id"] == passage_hash(row["title"], row["text"], context))


def _others(judged: JudgedSet, library: Library) -> list[str]:
    """Ids of the library's documents that are none of the set's files, nor of their entries."""
    files = {source.name for source in judged.corpus}
    return [
        d.id for d in library.documents() if d.path not in files and d.path.partition("#")[0] not in files
    ]


def _is_the_sets(judged: JudgedSet, library: Library) -> bool:
    """Whether all that the library holds, if anything, is the set's."""
    return not _others(judged, library)


def _drop_leftovers(judged: JudgedSet, library: Library) -> None:
    """Delete documents whose files left the set; entries that left a corpus.jsonl are ingest's own business."""
    leftovers = _others(judged, library)
    if leftovers:
        with writing(library) as writer:
            writer.delete(leftovers)


def _missing(judged: JudgedSet, library: Library) -> tuple[Notice, ...]:
    """Which relevant documents a library that is taken as it is does not hold."""
    relevant, lost = _relevant(judged, {document_id(document.path) for document in library.documents()})
    if len(lost) == len(relevant):
        raise UsageError(
            f"The library {library.folder} holds none of the {len(relevant)} documents that {judged.name} calls "
            f"relevant (“{lost[0]}”, say), and a calibration adds none to documents of other origin. Name "
            "only the dataset, to calibrate its own library, or only the library, to learn from its own labels."
        )
    return (_lost(lost, relevant, "library"),) if lost else ()


def _relevant(judged: JudgedSet, names: set[str]) -> tuple[set[str], list[str]]:
    """The documents that the set calls relevant, and which of them are not in ``names``, sorted."""
    relevant = {name for grades in judged.qrels.values() for name, grade in grades.items() if grade > 0}
    return relevant, sorted(relevant - names)


def _lost(lost: list[str], relevant: set[str], where: str) -> Notice:
    text = (
        f"{len(lost)} of {len(relevant)} relevant documents are not in the {where} and count as not found: "
        f"{', '.join(lost[:SHOWN])}{', …' if len(lost) > SHOWN else ''}."
    )
    return Notice(NoticeKind.DATASET, text)


def _notices(judged: JudgedSet, library: Library, report: IngestReport) -> tuple[Notice, ...]:
    """What could not be indexed, and which relevant documents no search can find."""
    notices = [
        Notice(NoticeKind.DATASET, f"Left out: {file.path}. {file.reason}")
        for file in report.files
        if file.status in (FileStatus.REFUSED, FileStatus.DUPLICATE)
    ]
    names = {document_id(document.path) for document in library.documents()}
    if not names:
        reasons = [file.reason for file in report.files if file.reason]
        raise DamagedFileError(
            f"No document of {judged.name} could be indexed: {' '.join(reasons[:SHOWN]) or 'it holds none.'}"
        )
    relevant, lost = _relevant(judged, names)
    if relevant and len(lost) == len(relevant):
        raise DamagedFileError(
            f"None of the {len(relevant)} relevant documents of {judged.name}'s qrels/{judged.split}.tsv is in its "
            f"corpus (“{lost[0]}”, say). Their ids must be the corpus's _id, or the files' names with suffix."
            + "".join(f" {notice.text}" for notice in notices[:SHOWN])
        )
    if lost:
        notices.append(_lost(lost, relevant, "corpus"))
    return tuple(notices)
