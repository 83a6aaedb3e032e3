"""Generations of a library: how what was written becomes visible, all at once, and what was replaced goes."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.library import index_files, word_index
from ingest.library.files import originals
from ingest.library.library import VECTORS, Manifest, transaction, write_manifest
from ingest.library.snapshot import GENERATION_MARK, IDENTITY, INDEX_RECALL, read_index_file
from ingest.library.vector_rows import StoredVectors, encoder_number, id_array


class Generations:
    """The active generation and the pending one, as a library's only writer changes them."""

    def __init__(self, db: sqlite3.Connection, folder: Path, on_step: Callable[[str], None]) -> None:
        """Pin what is active now; ``folder`` is the library's, and ``on_step`` hears each step."""
        self._db = db
        self._library, self._folder = folder, folder / VECTORS
        self._on_step = on_step
        self.active: int = db.execute("SELECT coalesce(max(id), 0) FROM generations").fetchone()[0]

    @property
    def pending(self) -> int:
        """The number of the generation that is written and not yet shown."""
        return self.active + 1

    def discard_pending(self) -> None:
        """Forget what was staged and never published, and index files that nothing points to."""
        with transaction(self._db):
            for table in ("documents", "sources", "originals"):
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
            originals.settle(self._db, self.pending)
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
            originals.forget_gone(self._db)
            self._db.execute(
                "DELETE FROM vectors WHERE passage_hash NOT IN (SELECT passage_hash FROM chunks)"
            )
            if file is not None:  # a library without an index has no documents either
                self._activate(file)
        self._on_step("generation activated")
        originals.sweep(self._library, self._db)
        return self.active

    def _with_members(self, document_ids: Sequence[str]) -> list[str]:
        rows = self._db.execute(
            "SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?1)) OR source IN (SELECT d.source FROM "
            f"documents AS d WHERE d.key = {IDENTITY} AND d.id IN (SELECT value FROM json_each(?1)))",
            (json.dumps(list(document_ids)),),
        )
        return [row["id"] for row in rows]

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
        """Remove index files that the active generation does not use, originals of no source, and nothing else."""
        file = read_index_file(self._db)
        for path in index_files.index_files(self._folder):
            if file is None or path.name != file.name:
                path.unlink(missing_ok=True)
        originals.sweep(self._library, self._db)
