"""Writing to a library: one writer at a time, and nothing is visible before it is published."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ingest import vectors, word_index
from ingest.errors import LibraryBusyError
from ingest.library import (
    LOCK,
    VECTORS,
    Library,
    Manifest,
    read_manifest,
    transaction,
    write_manifest,
)
from ingest.records import Chunk, Document, FileReport
from ingest.rows import document_of, report_of
from ingest.snapshot import INDEX_RECALL, read_index_file
from ingest.storage import refusal
from ingest.stored import StoredVectors, id_array

# Seconds that a second writer waits for the first: a delete fits in, an ingest does not.
WAIT_SECONDS = 10.0


def _quiet(_: str) -> None:
    return


@contextmanager
def writing(
    library: Library, wait: float = WAIT_SECONDS, on_step: Callable[[str], None] = _quiet
) -> Iterator[LibraryWriter]:
    """Be the library's only writer.

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
            yield writer
    finally:
        lock.release()


class LibraryWriter:
    """Stages documents under the pending generation and publishes it; made by `writing`."""

    def __init__(self, library: Library, db: sqlite3.Connection, on_step: Callable[[str], None]) -> None:
        """Pin what is active now."""
        self._library = library
        self._db = db
        self._on_step = on_step
        self.manifest = read_manifest(db, library.folder)
        self._active: int = db.execute("SELECT coalesce(max(id), 0) FROM generations").fetchone()[0]

    @property
    def _pending(self) -> int:
        return self._active + 1

    def discard_pending(self) -> None:
        """Forget what was staged and never published, and index files that nothing points to."""
        with transaction(self._db):
            for table in ("documents", "sources"):
                self._db.execute(f"DELETE FROM {table} WHERE born > ?", (self._active,))
            self._db.execute("DELETE FROM doomed")
        self._sweep()

    def content_of(self, document_id: str) -> str | None:
        """Content hash of a document as it will be after publishing, or ``None``."""
        row = self._db.execute(
            "SELECT content_hash FROM documents WHERE id = ? AND id NOT IN (SELECT document FROM doomed) "
            "ORDER BY born DESC LIMIT 1",
            (document_id,),
        ).fetchone()
        return row["content_hash"] if row else None

    def twin_of(self, document: Document) -> str | None:
        """Path of another document with the same title and text, or ``None``."""
        row = self._db.execute(
            "SELECT path FROM documents WHERE content_hash = ? AND id != ? AND source_id IS NULL "
            "AND id NOT IN (SELECT document FROM doomed) LIMIT 1",
            (document.content_hash, document.id),
        ).fetchone()
        return row["path"] if row else None

    def report_of(self, source: str, file_hash: str) -> FileReport | None:
        """What was reported of this very file before, if its bytes are the same and it is still there."""
        row = self._db.execute(
            "SELECT report FROM sources WHERE key = ? AND file_hash = ? ORDER BY born DESC LIMIT 1",
            (source, file_hash),
        ).fetchone()
        return report_of(row["report"]) if row else None

    def file_twin_of(self, source: str, file_hash: str) -> FileReport | None:
        """The report of another file with the same bytes, or ``None``."""
        row = self._db.execute(
            "SELECT report FROM sources WHERE key != ? AND file_hash = ? LIMIT 1", (source, file_hash)
        ).fetchone()
        return report_of(row["report"]) if row else None

    def documents_of(self, source: str) -> set[str]:
        """Ids of the documents that came from this file."""
        rows = self._db.execute(
            "SELECT id FROM documents WHERE source = ? AND born <= ?", (source, self._active)
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
        row = self._db.execute("SELECT count(*) FROM documents WHERE born <= ?", (self._active,)).fetchone()
        return int(row[0])

    def stored_documents(self) -> Iterator[tuple[str, Document]]:
        """Every document of the active generation with its source, rebuilt from its row."""
        rows = self._db.execute(
            "SELECT number FROM documents WHERE born <= ? ORDER BY number", (self._active,)
        )
        for (number,) in rows.fetchall():
            row = self._db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
            yield row["source"], document_of(row)

    def unstage(self, source: str) -> None:
        """Forget what was staged of a file that could not be finished."""
        with transaction(self._db):
            self._db.execute("DELETE FROM documents WHERE source = ? AND born = ?", (source, self._pending))

    def stage_source(self, source: str, file_hash: str, report: FileReport) -> None:
        """Remember a file that was read, under the pending generation."""
        with transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)",
                (source, self._pending, file_hash, json.dumps(asdict(report))),
            )

    def stage(self, source: str, document: Document, chunks: Sequence[Chunk]) -> None:
        """Write a document and its chunks under the pending generation, replacing one staged before."""
        with transaction(self._db):
            self._db.execute("DELETE FROM documents WHERE id = ? AND born = ?", (document.id, self._pending))
            self._db.execute("DELETE FROM doomed WHERE document = ?", (document.id,))
            number = self._db.execute(
                "INSERT INTO documents (id, born, source, key, title, path, format, content_hash, source_id, text, "
                "pages, headings, pages_without_text, chunk_count, page_count) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.id, self._pending, source, document.key, document.title, document.path,
                    document.format, document.content_hash, document.source_id, document.text,
                    json.dumps([[p.number, p.start, p.end] for p in document.pages]),
                    json.dumps([[h.level, h.start, h.text] for h in document.headings]),
                    json.dumps(document.pages_without_text), len(chunks), document.page_count,
                ),
            ).lastrowid  # fmt: skip
            self._db.executemany(
                'INSERT INTO chunks (document, start, "end", page, page_end, heading, title, text, passage_hash) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        number, chunk.start, chunk.end, chunk.page, chunk.page_end,
                        json.dumps(chunk.heading), chunk.title, chunk.text, chunk.passage_hash,
                    )
                    for chunk in chunks
                ],
            )  # fmt: skip

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
            (json.dumps(list(passage_hashes)), self._encoder_number()),
        )
        return {row["hash"] for row in rows}

    def put_vectors(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        """Store vectors of shape (dim,) by passage hash; they outlive a stop, so no work is done twice."""
        number = self._encoder_number()
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
        name = f"{self._pending:06d}.faiss"
        folder = self._library.folder / VECTORS
        file = vectors.publish(
            folder, name, self._pending_vectors(), self._on_step, read_index_file(self._db)
        )
        with transaction(self._db):
            self._drop(
                "id IN (SELECT document FROM doomed) "
                "OR (born < ? AND id IN (SELECT id FROM documents WHERE born = ?))",
                (self._pending, self._pending),
            )
            self._db.execute(
                "DELETE FROM sources WHERE (born < ? AND key IN (SELECT key FROM sources WHERE born = ?)) "
                "OR key NOT IN (SELECT source FROM documents)",
                (self._pending, self._pending),
            )
            self._db.execute("DELETE FROM tombstones")
            write_manifest(self._db, self.manifest)
            word_index.add(self._db, self._pending)
            self._activate(file)
        self._on_step("generation activated")
        self._sweep()
        return self._active

    def delete(self, document_ids: Sequence[str]) -> int:
        """Take documents out at once: a new generation on the same index, which skips their chunks."""
        wanted = json.dumps(list(document_ids))
        with transaction(self._db):
            file = read_index_file(self._db)
            self._db.execute(
                "INSERT OR IGNORE INTO tombstones SELECT c.id FROM chunks AS c JOIN documents AS d "
                "ON d.number = c.document WHERE d.id IN (SELECT value FROM json_each(?))",
                (wanted,),
            )
            self._db.execute(
                "DELETE FROM sources WHERE key IN (SELECT source FROM documents "
                "WHERE id IN (SELECT value FROM json_each(?)))",
                (wanted,),
            )
            self._drop("id IN (SELECT value FROM json_each(?))", (wanted,))
            self._db.execute(
                "DELETE FROM vectors WHERE passage_hash NOT IN (SELECT passage_hash FROM chunks)"
            )
            if file is not None:  # a library without an index has no documents either
                self._activate(file)
        self._on_step("generation activated")
        return self._active

    def _drop(self, which: str, values: Sequence[object]) -> None:
        """Delete the documents that ``which`` (an SQL condition) selects, and their words."""
        word_index.remove(self._db, which, values)
        self._db.execute(f"DELETE FROM documents WHERE {which}", values)

    def _activate(self, file: vectors.IndexFile) -> None:
        self._db.execute("DELETE FROM doomed")
        self._db.execute(
            "INSERT INTO generations (id, index_file, index_sha256, vectors) VALUES (?, ?, ?, ?)",
            (self._pending, file.name, file.sha256, file.vectors),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO manifest VALUES (?, ?)", (INDEX_RECALL, json.dumps(file.recall))
        )
        self._db.execute("DELETE FROM generations WHERE id < ?", (self._pending,))
        self._active += 1

    def _pending_vectors(self) -> StoredVectors:
        """Chunk ids and vectors of what the pending generation will hold."""
        encoder = self._encoder_number()
        rows = self._db.execute(
            "SELECT c.id FROM documents AS d JOIN chunks AS c ON c.document = d.number "
            "JOIN vectors AS v ON v.passage_hash = c.passage_hash AND v.encoder = ? "
            "WHERE d.id NOT IN (SELECT document FROM doomed) "
            "AND (d.born = ? OR d.id NOT IN (SELECT id FROM documents WHERE born = ?)) ORDER BY c.id",
            (encoder, self._pending, self._pending),
        )
        return StoredVectors(self._db, encoder, self.manifest.dim, id_array(rows))

    def _encoder_number(self) -> int:
        identity = self.manifest.identity
        self._db.execute("INSERT OR IGNORE INTO encoders (identity) VALUES (?)", (identity,))
        number: int = self._db.execute("SELECT id FROM encoders WHERE identity = ?", (identity,)).fetchone()[
            0
        ]
        return number

    def _sweep(self) -> None:
        """Remove index files that the active generation does not use (temporary ones included)."""
        file = read_index_file(self._db)
        folder = self._library.folder / VECTORS
        for path in folder.iterdir() if folder.is_dir() else ():
            if file is None or path.name != file.name:
                path.unlink(missing_ok=True)
