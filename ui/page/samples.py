"""The sample library: which documents belong to it, which are still to be added, and its example questions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePath

from ingest.library.library import Library, Manifest
from ingest.library.snapshot import DocumentInfo
from ingest.sources import Source, walk
from rerank.judged.beir import read_rows
from ui.settings import SAMPLE

DOCUMENTS = SAMPLE / "documents"
QUERIES = SAMPLE / "queries.jsonl"
PENDING = "samples_pending"  # the library's note of names that are still to be added
MOST_EXAMPLES = 3  # as many as fit on a line

_TAIL = ("data", "sample", "documents")


def is_sample(document: DocumentInfo) -> bool:
    """Whether a document is one of ours, wherever the project lay when it was added."""
    return PurePath(document.path).parent.parts[-len(_TAIL) :] == _TAIL


def sources() -> list[Source]:
    """The sample documents, to ingest; none where the project was installed without them."""
    return list(walk([DOCUMENTS])) if DOCUMENTS.is_dir() else []


def library_for(folder: Path, manifest: Manifest) -> Library:
    """The library in ``folder``, made if need be, to which the sample documents are to be added.

    It remembers which are not in it yet, so that a process that dies over them leaves that to the next start. What a
    person deletes meanwhile has been in it, and does not come back.
    """
    names = [source.path.name for source in sources()]
    library = Library.create(folder, manifest, {PENDING: names})
    library.note(PENDING, names)
    return library


def pending(library: Library) -> list[Source]:
    """The sample documents that somebody began to add and did not come to."""
    names = library.noted(PENDING)
    return [source for source in sources() if source.path.name in names] if isinstance(names, list) else []


def added(library: Library, path: str) -> None:
    """Cross off the sample at ``path``, of which there is a report now."""
    left = [source.path.name for source in pending(library) if source.path.name != PurePath(path).name]
    library.note(PENDING, left or None)


def forget(library: Library) -> None:
    """Leave the samples that are not in the library yet out of it: nobody wants them any more."""
    library.note(PENDING, None)


def split(documents: Sequence[DocumentInfo]) -> tuple[list[DocumentInfo], list[DocumentInfo]]:
    """The person's own documents, and the samples."""
    return [d for d in documents if not is_sample(d)], [d for d in documents if is_sample(d)]


@cache
def example_questions(path: Path) -> tuple[str, ...]:
    """Questions of a file that are marked as examples, at most `MOST_EXAMPLES`; none where it is not there."""
    if not path.is_file():
        return ()
    return tuple(row["text"] for row in read_rows(path) if row.get("example"))[:MOST_EXAMPLES]
