"""Writing to a library: one writer at a time, and nothing is visible before it is published.

Documents, chunks and vectors are staged here; how they become visible is `ingest.library.generations`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ingest.disk import refusal
from ingest.errors import LibraryBusyError
from ingest.library import renaming
from ingest.library.files import metadata, originals
from ingest.library.files.originals import Original
from ingest.library.generations import Generations
from ingest.library.library import (
    LOCK,
    Library,
    Manifest,
    read_manifest,
    transaction,
)
from ingest.library.rows import document_of, insert_document, insert_report, report_of
from ingest.library.snapshot import IDENTITY
from ingest.library.token_vectors import forget_gone
from ingest.library.vector_rows import encoder_number
from ingest.records import Chunk, Document, FileReport
from ingest.workspace import sweep

# Seconds that a second writer waits for the first: a delete fits in, an ingest does not.
WAIT_SECONDS = 10.0


def _quiet(_: str) -> None:
    return


@contextmanager
def writing(
    library: Library, wait: float = WAIT_SECONDS, on_step: Callable[[str], None] = _quiet
) -> Iterator[LibraryWriter]:
    """Be the library's only writer. At the end, the token vectors of what was taken out go too.

    Raises `LibraryBusyError` when another one does not finish within ``wait`` seconds, `StorageError` where nothing
    can be written.
    """
    lock = FileLock(library.folder / LOCK, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise LibraryBusyError(
            f"Another process is writing to the library {library.folder}; nothing was changed. Try again later."
        ) from error
    except OSError as error:
        raise refusal(f"The library {library.folder}", error) or error from error
    try:
        with library.connection() as db:
            writer = LibraryWriter(library, db, on_step)
            writer.discard_pending()
            for place in (
                library.folder,
                library.folder.absolute().parent,
            ):  # of imports and exports that died
                sweep(place)
            try:
                yield writer
            finally:
                forget_gone(library)
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that holds the same as another: its path as it was given, its key, and its hash when it was read.

    ``file_hash`` is ``None`` where it is not known any more, after a rebuild.
    """

    path: str
    source: str
    file_hash: str | None


class LibraryWriter:
    """Stages documents under the pending generation and publishes it; made by `writing`."""

    def __init__(self, library: Library, db: sqlite3.Connection, on_step: Callable[[str], None]) -> None:
        """Pin what is active now."""
        self._db = db
        self._folder = library.folder
        self.manifest = read_manifest(db, library.folder)
        self._generations = Generations(db, library.folder, on_step)

    def discard_pending(self) -> None:
        """Forget what was staged and never published, and index files that nothing points to."""
        self._generations.discard_pending()

    def content_of(self, document_id: str) -> str | None:
        """Content hash of a document as it will be after publishing, or ``None``."""
        row = self._db.execute(
            "SELECT content_hash FROM documents WHERE id = ? AND id NOT IN (SELECT document FROM doomed) "
            "ORDER BY born DESC LIMIT 1",
            (document_id,),
        ).fetchone()
        return row["content_hash"] if row else None

    def duplicates_of(self, document: Document) -> list[Duplicate]:
        """Other documents with the same title and text, each a whole file, that will be there after publishing."""
        rows = self._db.execute(
            "SELECT d.path, d.source, (SELECT file_hash FROM sources WHERE key = d.source ORDER BY born DESC LIMIT 1) "
            f"FROM documents AS d WHERE content_hash = ? AND id != ? AND key = {IDENTITY} "
            "AND id NOT IN (SELECT document FROM doomed) "
            "AND NOT EXISTS (SELECT 1 FROM documents AS later WHERE later.id = d.id AND later.born > d.born)",
            (document.content_hash, document.id),
        )
        return [Duplicate(*row) for row in rows]

    def report_of(self, source: str, file_hash: str) -> FileReport | None:
        """What was reported of this very file before, if its bytes are the same and it is still there."""
        row = self._db.execute(
            "SELECT report FROM sources WHERE key = ? AND file_hash = ? ORDER BY born DESC LIMIT 1",
            (source, file_hash),
        ).fetchone()
        return report_of(row["report"]) if row else None

    def file_duplicates_of(self, source: str, file_hash: str) -> list[Duplicate]:
        """Other files with the same bytes of which something will be there after publishing."""
        rows = self._db.execute(
            "SELECT s.report, s.key, s.file_hash FROM sources AS s WHERE key != ? AND file_hash = ? "
            "AND NOT EXISTS (SELECT 1 FROM sources AS later WHERE later.key = s.key AND later.born > s.born) "
            "AND EXISTS (SELECT 1 FROM documents WHERE source = s.key AND id NOT IN (SELECT document FROM doomed))",
            (source, file_hash),
        )
        return [Duplicate(report_of(report).path, key, digest) for report, key, digest in rows]

    def holds(self, source: str) -> bool:
        """Whether a document of this file will be there after publishing."""
        return bool(
            self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM documents WHERE source = ? AND id NOT IN (SELECT document FROM doomed))",
                (source,),
            ).fetchone()[0]
        )

    def hash_of(self, source: str) -> str | None:
        """The hash of the file when it was last read, ``None`` where that is not known, after a rebuild say."""
        row = self._db.execute(
            "SELECT file_hash FROM sources WHERE key = ? ORDER BY born DESC LIMIT 1", (source,)
        ).fetchone()
        return row["file_hash"] if row else None

    def documents_of(self, source: str) -> set[str]:
        """Ids of the documents that came from this file."""
        rows = self._db.execute(
            "SELECT id FROM documents WHERE source = ? AND born <= ?", (source, self._generations.active)
        )
        return {row["id"] for row in rows}

    def chunk_count_of(self, document_id: str) -> int:
        """How many chunks a document has, as it will be after publishing."""
        row = self._db.execute(
            "SELECT chunk_count FROM documents WHERE id = ? ORDER BY born DESC LIMIT 1", (document_id,)
        ).fetchone()
        return row["chunk_count"] if row else 0

    def stored_sources(self) -> list[str]:
        """The sources of the active generation's documents, in the order in which they came."""
        rows = self._db.execute(
            "SELECT source FROM documents WHERE born <= ? GROUP BY source ORDER BY min(number)",
            (self._generations.active,),
        )
        return [row["source"] for row in rows]

    def stored_documents(self, source: str) -> Iterator[Document]:
        """Every document of a source in the active generation, made again of its row."""
        rows = self._db.execute(
            "SELECT number FROM documents WHERE source = ? AND born <= ? ORDER BY number",
            (source, self._generations.active),
        )
        for (number,) in rows.fetchall():
            row = self._db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
            yield replace(document_of(row), metadata=metadata.of_document(self._db, number))

    def unstage(self, *sources: str) -> None:
        """Forget what was staged of files that could not be finished; what they held before stays."""
        with transaction(self._db):
            for source in sources:
                values = (source, self._generations.pending)
                self._db.execute("DELETE FROM documents WHERE source = ? AND born = ?", values)
                self._db.execute("DELETE FROM sources WHERE key = ? AND born = ?", values)
                self._db.execute("DELETE FROM originals WHERE source = ? AND born = ?", values)
                self._db.execute(
                    "DELETE FROM doomed WHERE document IN (SELECT id FROM documents WHERE source = ?)",
                    (source,),
                )

    def stage_source(self, source: str, file_hash: str, report: FileReport) -> None:
        """Remember a file that was read, under the pending generation."""
        with transaction(self._db):
            insert_report(self._db, source, self._generations.pending, file_hash, report)

    def remember_source(self, source: str, file_hash: str, report: FileReport) -> None:
        """Remember a file that was read and changes no document, at once, in the place of what was known of it."""
        with transaction(self._db):
            self._db.execute("DELETE FROM sources WHERE key = ?", (source,))
            insert_report(self._db, source, self._generations.active, file_hash, report)

    def keep_original(
        self,
        source: str,
        name: str,
        file: Path,
        file_hash: str,
        between: Callable[[], None],
        *,
        pending: bool,
    ) -> None:
        """Keep ``file`` as what a source was read from, in the pending generation or in the active one.

        Raises as `ingest.library.files.originals.keep`.
        """
        size = originals.keep(self._folder, file, file_hash, name, between)
        born = self._generations.pending if pending else self._generations.active
        with transaction(self._db):
            if not pending:
                self._db.execute("DELETE FROM originals WHERE source = ?", (source,))
            originals.insert(self._db, born, Original(source, file_hash, size, name))

    def identity_of(self, source: str) -> str:
        """As `ingest.library.renaming.identity_of`."""
        return renaming.identity_of(self._db, source)

    def remember_identity(self, source: str, identity: str) -> None:
        """Store by which key the documents of a source are known, where it is not the source's own."""
        if identity != source:
            renaming.remember(self._db, source, identity)

    def rename(self, old: str, new: str, old_path: str, new_path: str) -> None:
        """As `ingest.library.renaming.rename`, at once."""
        with transaction(self._db):
            renaming.rename(self._db, old, new, old_path, new_path)

    def original_of(self, source: str) -> Original | None:
        """The file that is kept of a source, ``None`` where none is."""
        row = self._db.execute(
            "SELECT source, sha256, bytes, name FROM originals WHERE source = ? ORDER BY born DESC LIMIT 1",
            (source,),
        ).fetchone()
        return Original(*row) if row else None

    def forget_originals(self) -> None:
        """Remove all originals."""
        with transaction(self._db):
            self._db.execute("DELETE FROM originals")
            self._db.execute("DELETE FROM replaced")
        originals.sweep(self._folder, self._db)

    def stage(self, source: str, document: Document, chunks: Sequence[Chunk]) -> None:
        """Write a document and its chunks under the pending generation, replacing one staged before."""
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM documents WHERE id = ? AND born = ?", (document.id, self._generations.pending)
            )
            self._db.execute("DELETE FROM doomed WHERE document = ?", (document.id,))
            insert_document(self._db, source, self._generations.pending, document, chunks)

    def doom(self, document_ids: Sequence[str]) -> None:
        """Have these documents dropped by the pending generation."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO doomed VALUES (?)", [(name,) for name in document_ids]
            )

    def missing(self, passage_hashes: Sequence[str]) -> set[str]:
        """Which of these passages have no vector of the library's encoder yet."""
        rows = self._db.execute(
            "SELECT wanted.value AS hash FROM json_each(?) AS wanted WHERE NOT EXISTS "
            "(SELECT 1 FROM vectors WHERE encoder = ? AND passage_hash = wanted.value)",
            (json.dumps(list(passage_hashes)), encoder_number(self._db, self.manifest.identity)),
        )
        return {row["hash"] for row in rows}

    def put_vectors(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        """Store vectors of shape (dim,) by passage hash; they outlive a stop, so no work is done twice."""
        number = encoder_number(self._db, self.manifest.identity)
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                [(number, key, vector.astype("<f4").tobytes()) for key, vector in rows.items()],
            )

    def adopt(self, manifest: Manifest) -> None:
        """Make this the manifest of the pending generation (a rebuild with another encoder).

        Files are forgotten, not documents: their reports count chunks that will be cut anew.
        """
        self.manifest = manifest
        self._db.execute("DELETE FROM sources")

    def publish(self) -> int:
        """Build the index of the pending generation and make it the active one; its number.

        Until the last transaction readers see the old generation, from then on the new one.
        """
        return self._generations.publish(self.manifest)

    def delete(self, document_ids: Sequence[str]) -> int:
        """Take documents out at once; the number of the generation without them."""
        return self._generations.delete(document_ids)
