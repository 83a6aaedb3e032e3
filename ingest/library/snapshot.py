"""What a reader sees of a library: one generation, pinned by a SQLite read transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import LibraryDamagedError
from ingest.library.files.metadata import metadata_of
from ingest.library.files.originals import Original
from ingest.library.index_files import IndexFile
from ingest.library.vector_rows import StoredVectors, active_encoder, active_identity, id_array
from ingest.notices import Help, Remedy
from ingest.records import NO_METADATA, Chunk, Metadata, is_by_ocr

# The manifest's row that says how much of the exact best the active index finds; none means that it is exact.
INDEX_RECALL = "index_recall"
# The manifest's row that is drawn at random whenever a generation becomes the active one.
GENERATION_MARK = "generation_mark"
# The key of what a file itself holds, as SQL over the documents `d`: see `ingest.library.renaming`.
IDENTITY = "coalesce((SELECT identity FROM identities AS i WHERE i.source = d.source), d.source)"


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of a library: what a reader pins. ``index`` is ``None`` while it is empty.

    Compare it whole. Numbers begin again in a library that is made anew in the same folder, imported, or put back from
    a copy; ``mark`` is random and belongs to one state alone ("" in a library that nobody wrote to since there are
    marks, where the checksum of the index tells them apart).
    """

    id: int
    index: IndexFile | None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as lists show it. ``pages`` is 0 for formats without pages.

    ``original`` is the file that it was read from, where that is kept, and ``previous`` the one before that, where it
    can be put back.
    """

    id: str
    title: str
    path: str
    format: str
    chunks: int
    pages: int
    pages_without_text: tuple[int, ...]
    source: str = ""
    folder: str = ""
    metadata: Metadata = NO_METADATA
    original: Original | None = None
    previous: Original | None = None


class Snapshot:
    """A pinned view of one generation, valid inside its ``with``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Pin the generation that is active now."""
        self._db = db
        row = db.execute("SELECT coalesce(max(id), 0) FROM generations").fetchone()
        self.generation = Generation(row[0], read_index_file(db), _mark(db))

    def made_with(self) -> str:
        """The identity of the encoder whose vectors these are."""
        return active_identity(self._db)

    def tombstones(self) -> NDArray[np.int64]:
        """Ids of chunks that the index still holds but that are deleted, shape (n,)."""
        return id_array(self._db.execute("SELECT chunk FROM tombstones"))

    def documents(self) -> list[DocumentInfo]:
        """The documents of this generation, by title."""
        return self._documents("1")

    def documents_of_file(self, path: str) -> list[DocumentInfo]:
        """The documents within the file of this path: the entries of a corpus, or the files of an archive."""
        return self._documents(
            f"d.key != {IDENTITY} AND d.path = :path || substr(d.key, length({IDENTITY}) + 1)", path=path
        )

    def documents_with(self, document_id: str) -> list[DocumentInfo]:
        """This document and, where it is a whole file, those of the files within it (a mail's attachments)."""
        return self._documents(
            f"d.id = :id OR d.source IN (SELECT d.source FROM documents AS d WHERE d.id = :id AND d.key = {IDENTITY})",
            id=document_id,
        )

    def _documents(self, condition: str, **values: str) -> list[DocumentInfo]:
        rows = self._db.execute(
            "SELECT d.id, d.title, d.path, d.format, d.chunk_count, d.page_count, d.pages_without_text, d.source, "
            "o.sha256, o.bytes, o.name, r.sha256, r.bytes, r.name, coalesce(m.folder, ''), coalesce(m.author, ''), "
            "coalesce(m.language, ''), coalesce(m.created, ''), coalesce(m.modified, ''), coalesce(m.tags, '[]') "
            "FROM documents AS d LEFT JOIN metadata AS m ON m.document = d.number "
            "LEFT JOIN originals AS o ON o.source = d.source AND o.born <= :generation "
            "LEFT JOIN replaced AS r ON r.source = d.source "
            f"WHERE d.born <= :generation AND ({condition}) ORDER BY d.title COLLATE NOCASE, d.number",
            {"generation": self.generation.id, **values},
        )
        return [
            DocumentInfo(
                row["id"],
                row["title"],
                row["path"],
                row["format"],
                chunks=row["chunk_count"],
                pages=row["page_count"],
                pages_without_text=tuple(json.loads(row["pages_without_text"])),
                source=row["source"],
                folder=row[14],
                metadata=metadata_of(*tuple(row)[15:20]),
                original=_original(row["source"], *tuple(row)[8:11]),
                previous=_original(row["source"], *tuple(row)[11:14]),
            )
            for row in rows
        ]

    def vectors(self, dim: int) -> StoredVectors:
        """The vectors of this generation's chunks, of its own encoder; valid inside the ``with``."""
        encoder = active_encoder(self._db)
        rows = self._db.execute(
            "SELECT c.id FROM chunks AS c JOIN documents AS d ON d.number = c.document "
            "JOIN vectors AS v ON v.passage_hash = c.passage_hash AND v.encoder = ? "
            "WHERE d.born <= ? ORDER BY c.id",
            (encoder, self.generation.id),
        )
        return StoredVectors(self._db, encoder, dim, id_array(rows))

    def vectors_of(self, ids: NDArray[np.int64], dim: int) -> NDArray[np.float32]:
        """Vectors of these chunks, shape (len(ids), dim), in the order given. Raises `LibraryDamagedError`."""
        return StoredVectors(self._db, active_encoder(self._db), dim, ids).rows(ids)

    @property
    def connection(self) -> sqlite3.Connection:
        """The read transaction of this snapshot, for reading only."""
        return self._db

    def sample_texts(self, count: int) -> list[str]:
        """Texts of at most ``count`` passages of this generation, spread evenly; checksums are not looked at."""
        first, last = self._db.execute(
            "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM chunks"
        ).fetchone()
        step = max((last - first + 1) / count, 1.0)
        ids = [first + int(number * step) for number in range(count)]
        rows = self._db.execute(
            "SELECT c.text FROM json_each(?) AS wanted JOIN chunks AS c ON c.id = wanted.value "
            "JOIN documents AS d ON d.number = c.document WHERE d.born <= ?",
            (json.dumps(ids), self.generation.id),
        )
        return [row["text"] for row in rows]

    def sketch(self) -> Sketch:
        """What the passages of this generation are known by (see `ingest.library.snapshot`)."""
        return sketch(self._db, self.generation.id)

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """Chunks by id; an id that is not in this generation is left out."""
        rows = self._db.execute(
            'SELECT c.id, d.id AS document_id, c.title, d.path, c.page, c.page_end, c.heading, c.start, c."end", '
            "c.context, c.text, c.passage_hash, d.pages_by_ocr "
            "FROM json_each(?) AS wanted JOIN chunks AS c ON c.id = wanted.value "
            "JOIN documents AS d ON d.number = c.document WHERE d.born <= ?",
            (json.dumps([int(number) for number in ids]), self.generation.id),
        )
        return {row["id"]: _chunk(row) for row in rows}


def _original(source: str, sha256: str | None, size: int | None, name: str | None) -> Original | None:
    return None if sha256 is None or size is None or name is None else Original(source, sha256, size, name)


def _chunk(row: sqlite3.Row) -> Chunk:
    """The chunk that was stored as this row. Raises `LibraryDamagedError` unless its checksum agrees."""
    try:
        chunk = Chunk(
            row["id"],
            row["document_id"],
            row["title"],
            row["path"],
            page=row["page"],
            page_end=row["page_end"],
            heading=tuple(json.loads(row["heading"])),
            start=row["start"],
            end=row["end"],
            text=row["text"],
            context=row["context"],
            by_ocr=is_by_ocr(json.loads(row["pages_by_ocr"]), row["page"], row["page_end"]),
        )
        whole = chunk.passage_hash == row["passage_hash"]
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise LibraryDamagedError(
            f"A passage of {row['path']} is damaged: it is not what was stored. See what is wrong, and what helps.",
            Help(Remedy.DIAGNOSE),
        )
    return chunk


def _mark(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT value FROM manifest WHERE key = ?", (GENERATION_MARK,)).fetchone()
    return "" if row is None else str(row["value"])


def read_index_file(db: sqlite3.Connection) -> IndexFile | None:
    """The active generation's index, ``None`` in an empty library."""
    row = db.execute(
        "SELECT g.index_file, g.index_sha256, g.vectors, coalesce(m.value, '1.0') AS recall "
        "FROM generations AS g LEFT JOIN manifest AS m ON m.key = ? ORDER BY g.id DESC LIMIT 1",
        (INDEX_RECALL,),
    ).fetchone()
    if row is None:
        return None
    return IndexFile(row["index_file"], row["index_sha256"], row["vectors"], json.loads(row["recall"]))


# With so many, the share is known to a standard error of at most 3 %; below so many passages it is exact.
SIZE = 256
# Of 64: enough to tell the passages of any library apart.
DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sketch:
    """How many passages there are, and the beginnings of the smallest of their hashes, rising and each once."""

    passages: int
    smallest: tuple[str, ...]

    def shared(self, other: Sketch) -> float:
        """The share of the passages of both together that are in both, 0 to 1; 1 where neither has any."""
        ours, theirs = set(self.smallest), set(other.smallest)
        smallest = sorted(ours | theirs)[:SIZE]
        return sum(name in ours and name in theirs for name in smallest) / len(smallest) if smallest else 1.0


def sketch(db: sqlite3.Connection, generation: int) -> Sketch:
    """The sketch of the passages of ``generation``; read from SQLite's indexes alone."""
    pending = "SELECT number FROM documents WHERE born > ?"
    (count,) = db.execute(
        f"SELECT (SELECT count(*) FROM chunks) - (SELECT count(*) FROM chunks WHERE document IN ({pending}))",
        (generation,),
    ).fetchone()
    rows = db.execute(
        "SELECT DISTINCT c.passage_hash FROM chunks AS c JOIN documents AS d ON d.number = c.document "
        "WHERE d.born <= ? ORDER BY c.passage_hash LIMIT ?",
        (generation, SIZE),
    )
    return Sketch(count, tuple(row[0][:DIGITS] for row in rows))
