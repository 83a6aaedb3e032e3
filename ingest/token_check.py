"""Whether the token vectors beside a library are what was stored, row for row; and what is left when they are not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ingest.errors import StorageError
from ingest.findings import Finding, Part
from ingest.library.schema import open_file
from ingest.library.token_vectors import FILE, is_whole

# Somebody else has the file, or the disk refuses: that says nothing of what is in it.
_NOT_NOW = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL,
)  # fmt: skip


def token_vectors(folder: Path) -> Iterator[Finding]:
    """What is wrong with the file of token vectors; nothing where there is none, which is as good."""
    wrong = _damage(folder / FILE)
    if wrong:
        yield Finding(
            Part.LATE_INTERACTION,
            f"The token vectors in {folder / FILE} are damaged: {wrong}. What is damaged is removed, and nothing else "
            f"lost, by: secondlook doctor --repair --library {folder}",
        )


def mend_token_vectors(folder: Path) -> str:
    """Remove the rows that are damaged, or all of a file that SQLite cannot vouch for; what was done."""
    path = folder / FILE
    if _damage(path, rows=False):
        path.unlink(missing_ok=True)
        again = "secondlook ingest FILES --token-vectors"
        return f"The file of token vectors was removed. Have them stored again with: {again}"
    with closing(open_file(path, "rw")) as db:
        bad = [(number,) for number in _damaged_rows(db)]
        db.executemany("DELETE FROM token_vectors WHERE rowid = ?", bad)
    return f"{len(bad)} damaged rows of token vectors were removed; the next ingest computes them again."


def _damage(path: Path, rows: bool = True) -> str:
    if not path.is_file() or not path.stat().st_size:
        return ""
    try:
        with closing(open_file(path, "rw")) as db:
            wrong = [row[0] for row in db.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
            if wrong:
                return str(wrong[0])
            if db.execute("PRAGMA foreign_key_check").fetchone():
                return "rows are of no model that it knows"
            db.execute("SELECT id, name, identity FROM models").fetchall()
            bad = sum(1 for _ in _damaged_rows(db)) if rows else 0
            return f"{bad} rows differ from their checksum" if bad else ""
    except StorageError:
        return ""
    except sqlite3.DatabaseError as error:
        return "" if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_NOW else str(error)


def _damaged_rows(db: sqlite3.Connection) -> Iterator[int]:
    found = db.execute("SELECT rowid, passage_hash, checksum, data FROM token_vectors")
    return (number for number, *row in found if not is_whole(*row))
