"""What is known of documents besides their text, a row each: what their files say of themselves, and where they lie."""

from __future__ import annotations

import json
import sqlite3
from pathlib import PurePath

from ingest.library.files.originals import UPLOAD
from ingest.records import Document, Metadata


def folder_of(source: str) -> str:
    """The folder of a file by its key, "" for an upload."""
    return "" if source.startswith(UPLOAD) else str(PurePath(source).parent)


def insert(db: sqlite3.Connection, number: int, source: str, document: Document) -> None:
    """Store a document's metadata beside its row."""
    known = document.metadata
    db.execute(
        "INSERT OR REPLACE INTO metadata (document, type, folder, author, language, created, modified, tags) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number, document.format, folder_of(source), known.author, known.language, known.created, known.modified,
            json.dumps(known.tags),
        ),
    )  # fmt: skip


def of_document(db: sqlite3.Connection, number: int) -> Metadata:
    """What is stored of a document by its row's number; nothing where a damaged library lost it."""
    row = db.execute(
        "SELECT author, language, created, modified, tags FROM metadata WHERE document = ?", (number,)
    ).fetchone()
    return Metadata() if row is None else metadata_of(*row)


def metadata_of(author: str, language: str, created: str, modified: str, tags: str) -> Metadata:
    """The metadata that was stored as these columns; without tags where damage made them unreadable."""
    return Metadata(author, language, created, modified, _tags_of(tags) or ())


def _tags_of(text: str) -> tuple[str, ...] | None:
    try:
        tags = json.loads(text)
    except (ValueError, TypeError):
        return None
    return tuple(tags) if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else None


def damaged(db: sqlite3.Connection) -> list[int]:
    """Numbers of the documents whose row is missing or cannot be read."""
    rows = db.execute(
        "SELECT d.number, m.tags FROM documents AS d LEFT JOIN metadata AS m ON m.document = d.number"
    )
    return [number for number, tags in rows if _tags_of(tags) is None]


def mend(db: sqlite3.Connection) -> int:
    """Make damaged rows anew of what the documents' own rows say; how many."""
    numbers = damaged(db)
    db.executemany("DELETE FROM metadata WHERE document = ?", [(number,) for number in numbers])
    fill(db)
    return len(numbers)


def fill(db: sqlite3.Connection) -> None:
    """Give every document that has none a row, with what its own row says."""
    rows = db.execute(
        "SELECT number, format, source FROM documents WHERE number NOT IN (SELECT document FROM metadata)"
    ).fetchall()
    db.executemany(
        "INSERT INTO metadata (document, type, folder, author, language, created, modified, tags) "
        "VALUES (?, ?, ?, '', '', '', '', '[]')",
        [(number, format, folder_of(source)) for number, format, source in rows],
    )
