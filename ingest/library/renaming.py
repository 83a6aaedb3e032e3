"""Files that were renamed: their documents keep their ids, and with them their labels and vectors."""

from __future__ import annotations

import json
import secrets
import sqlite3
from itertools import count

from ingest.library.files.metadata import folder_of
from ingest.library.snapshot import GENERATION_MARK


def identity_of(db: sqlite3.Connection, source: str) -> str:
    """The key that the documents of a file are known by: its own, or the one that it had before it was renamed.

    A new file at the path that a renamed one had before gets another one.
    """
    row = db.execute("SELECT identity FROM identities WHERE source = ?", (source,)).fetchone()
    if row is not None:
        return str(row[0])
    if not _is_taken(db, source):
        return source
    identity = next(name for n in count(2) if not _is_taken(db, name := f"{source} ({n})"))
    remember(db, source, identity)
    return identity


def _is_taken(db: sqlite3.Connection, identity: str) -> bool:
    return db.execute("SELECT 1 FROM identities WHERE identity = ?", (identity,)).fetchone() is not None


def remember(db: sqlite3.Connection, source: str, identity: str) -> None:
    """Store by which key the documents of a source are known."""
    db.execute("INSERT OR REPLACE INTO identities (source, identity) VALUES (?, ?)", (source, identity))


def rename(db: sqlite3.Connection, old: str, new: str, old_path: str, new_path: str) -> None:
    """Have what came from the source ``old`` come from ``new``, within a transaction; the paths are what people see.

    Readers see it at once, and no vector changes. ``new`` holds no documents.
    """
    identity = identity_of(db, old)
    length = len(old_path)
    for table, which in (
        ("documents", "source = :old"),
        ("labels", "document IN (SELECT id FROM documents WHERE source = :old)"),
    ):
        db.execute(
            f"UPDATE {table} SET path = :path || substr(path, :length + 1) WHERE {which} "
            "AND substr(path, 1, :length) = :before",
            {"old": old, "path": new_path, "before": old_path, "length": length},
        )
    db.execute("UPDATE documents SET source = ? WHERE source = ?", (new, old))
    db.execute(
        "UPDATE metadata SET folder = ? WHERE document IN (SELECT number FROM documents WHERE source = ?)",
        (folder_of(new), new),
    )
    for table, key in (("sources", "key"), ("originals", "source"), ("identities", "source")):
        db.execute(f"DELETE FROM {table} WHERE {key} = ?", (new,))
    for rowid, report in db.execute("SELECT rowid, report FROM sources WHERE key = ?", (old,)).fetchall():
        fields = json.loads(report) | {"path": new_path}
        db.execute("UPDATE sources SET key = ?, report = ? WHERE rowid = ?", (new, json.dumps(fields), rowid))
    db.execute("UPDATE originals SET source = ?, name = ? WHERE source = ?", (new, new_path, old))
    db.execute("DELETE FROM identities WHERE source = ?", (old,))
    remember(db, new, identity)
    mark = json.dumps(secrets.token_hex(16))  # what is kept of the state before has the old path
    db.execute("INSERT OR REPLACE INTO manifest VALUES (?, ?)", (GENERATION_MARK, mark))
