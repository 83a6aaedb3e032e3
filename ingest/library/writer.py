"""Writing to a library: one writer at a time, and nothing is visible before it is published.

Documents, chunks and vectors are staged here; how they become visible is `ingest.library.writer`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ingest.errors import LibraryBusyError
from ingest.library import index_files, word_index
from ingest.library.disk import refusal
from ingest.library.library import (
    LOCK,
    VECTORS,
    Library,
    Manifest,
    read_manifest,
    transaction,
    write_manifest,
)
from ingest.library.rows import document_of, insert_document, insert_report, report_of
from ingest.library.snapshot import GENERATION_MARK, INDEX_RECALL, read_index_file
from ingest.library.token_vectors import forget_gone
from ingest.library.vector_rows import StoredVectors, encoder_number, id_array
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
        self.manifest = read_manifest(db, library.folder)
        self._generations = Generations(db, library.folder / VECTORS, on_step)

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
            "FROM documents AS d WHERE content_hash = ? AND id != ? AND key = source "
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

    def stored_count(self) -> int:
        """How many documents `stored_documents` gives."""
        row = self._db.execute(
            "SELECT count(*) FROM documents WHERE born <= ?", (self._generations.active,)
        ).fetchone()
        return int(row[0])

    def stored_documents(self) -> Iterator[tuple[str, Document]]:
        """Every document of the active generation with its source, rebuilt from its row."""
        rows = self._db.execute(
            "SELECT number FROM documents WHERE born <= ? ORDER BY number", (self._generations.active,)
        )
        for (number,) in rows.fetchall():
            row = self._db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
            yield row["source"], document_of(row)

    def unstage(self, source: str) -> None:
        """Forget what was staged of a file that could not be finished."""
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM documents WHERE source = ? AND born = ?", (source, self._generations.pending)
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


class Generations:
    """The active generation and the pending one, as a library's only writer changes them."""

    def __init__(self, db: sqlite3.Connection, folder: Path, on_step: Callable[[str], None]) -> None:
        """Pin what is active now; ``folder`` is where the indexes are, and ``on_step`` hears each step."""
        self._db = db
        self._folder = folder
        self._on_step = on_step
        self.active: int = db.execute("SELECT coalesce(max(id), 0) FROM generations").fetchone()[0]

    @property
    def pending(self) -> int:
        """The number of the generation that is written and not yet shown."""
        return self.active + 1

    def discard_pending(self) -> None:
        """Forget what was staged and never published, and index files that nothing points to."""
        with transaction(self._db):
            for table in ("documents", "sources"):
                self._db.execute(f"DELETE FROM {table} WHERE born > ?", (self.active,))
            self._db.execute("DELETE FROM doomed")
        self._sweep()

    def publish(self, manifest: Manifest) -> int:
        """Build the index of the pending generation and make it the active one, as ``manifest`` says; its number.

        Until the last transaction readers see the old generation, from then on the new one.
        """
        name = f"{self.pending:06d}.faiss"
        file = index_files.publish(
            self._folder, name, self._pending_vectors(manifest), self._on_step, read_index_file(self._db)
        )
        with transaction(self._db):
            self._drop(
                "id IN (SELECT document FROM doomed) "
                "OR (born < ? AND id IN (SELECT id FROM documents WHERE born = ?))",
                (self.pending, self.pending),
            )
            self._db.execute(
                "DELETE FROM sources WHERE (born < ? AND key IN (SELECT key FROM sources WHERE born = ?)) "
                "OR key NOT IN (SELECT source FROM documents)",
                (self.pending, self.pending),
            )
            self._db.execute("DELETE FROM tombstones")
            write_manifest(self._db, manifest)
            word_index.add(self._db, self.pending)
            self._activate(file)
        self._on_step("generation activated")
        self._sweep()
        return self.active

    def _with_members(self, document_ids: Sequence[str]) -> list[str]:
        rows = self._db.execute(
            "SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?1)) OR source IN "
            "(SELECT source FROM documents WHERE key = source AND id IN (SELECT value FROM json_each(?1)))",
            (json.dumps(list(document_ids)),),
        )
        return [row["id"] for row in rows]

    def delete(self, document_ids: Sequence[str]) -> int:
        """Take documents out at once, each with those of files within it: a new generation on the same index, which
        skips their chunks."""
        ids = json.dumps(self._with_members(document_ids))
        with transaction(self._db):
            file = read_index_file(self._db)
            self._db.execute(
                "INSERT OR IGNORE INTO tombstones SELECT c.id FROM chunks AS c JOIN documents AS d "
                "ON d.number = c.document WHERE d.id IN (SELECT value FROM json_each(?))",
                (ids,),
            )
            self._db.execute(
                "DELETE FROM sources WHERE key IN (SELECT source FROM documents "
                "WHERE id IN (SELECT value FROM json_each(?)))",
                (ids,),
            )
            self._drop("id IN (SELECT value FROM json_each(?))", (ids,))
            self._db.execute(
                "DELETE FROM vectors WHERE passage_hash NOT IN (SELECT passage_hash FROM chunks)"
            )
            if file is not None:  # a library without an index has no documents either
                self._activate(file)
        self._on_step("generation activated")
        return self.active

    def _drop(self, which: str, values: Sequence[object]) -> None:
        """Delete the documents that ``which`` (an SQL condition) selects, and their words."""
        word_index.remove(self._db, which, values)
        self._db.execute(f"DELETE FROM documents WHERE {which}", values)

    def _activate(self, file: index_files.IndexFile) -> None:
        self._db.execute("DELETE FROM doomed")
        self._db.execute(
            "INSERT INTO generations (id, index_file, index_sha256, vectors) VALUES (?, ?, ?, ?)",
            (self.pending, file.name, file.sha256, file.vectors),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO manifest VALUES (?, ?)",
            [(INDEX_RECALL, json.dumps(file.recall)), (GENERATION_MARK, json.dumps(secrets.token_hex(16)))],
        )
        self._db.execute("DELETE FROM generations WHERE id < ?", (self.pending,))
        self.active += 1

    def _pending_vectors(self, manifest: Manifest) -> StoredVectors:
        """Chunk ids and vectors of what the pending generation will hold."""
        encoder = encoder_number(self._db, manifest.identity)
        rows = self._db.execute(
            "SELECT c.id FROM documents AS d JOIN chunks AS c ON c.document = d.number "
            "JOIN vectors AS v ON v.passage_hash = c.passage_hash AND v.encoder = ? "
            "WHERE d.id NOT IN (SELECT document FROM doomed) "
            "AND (d.born = ? OR d.id NOT IN (SELECT id FROM documents WHERE born = ?)) ORDER BY c.id",
            (encoder, self.pending, self.pending),
        )
        return StoredVectors(self._db, encoder, manifest.dim, id_array(rows))

    def _sweep(self) -> None:
        """Remove index files that the active generation does not use (temporary ones included), and nothing else."""
        file = read_index_file(self._db)
        for path in index_files.index_files(self._folder):
            if file is None or path.name != file.name:
                path.unlink(missing_ok=True)
