"""Is a library whole? Every part of it compared with what the other parts say; nothing is changed.

What SQLite holds is checked by SQLite itself (its pages, its keys), and by what was stored beside it: a document's
hash, its passages' places and hashes, the length of a vector. The FAISS file has a checksum, and the same ids and,
where it is exact, the same vectors as SQLite; rows of token vectors have a checksum each. What has neither checksum
nor double goes unnoticed: a document's path, a page number, a grade. See docs/reliability.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ingest import contents
from ingest.errors import LibraryDamagedError, LibraryNotFoundError, NewerFormatError
from ingest.findings import Finding, Part
from ingest.inspection import View, reading
from ingest.library.index_files import index_files
from ingest.library.library import DATABASE, LOCK, VECTORS, read_manifest, transaction
from ingest.library.schema import FORMAT
from ingest.library.snapshot import Snapshot
from ingest.token_check import token_vectors
from ingest.wal import lost_commits


def examine(folder: Path) -> list[Finding]:
    """Everything that is wrong with the library in ``folder``; nothing where it is whole.

    Its files are only read. Raises `LibraryNotFoundError` and `NewerFormatError`.
    """
    if not (folder / DATABASE).is_file():
        return [_lost(folder)]
    log = folder / f"{DATABASE}-wal"
    lost = lost_commits(log) and lost_commits(log)  # twice: while a process writes, one look can fall between
    if lost:
        return [_unreadable(folder, f"its log {log.name} is, and the last changes in it ({lost}) are lost")]
    try:
        with reading(folder) as db:
            return list(_database(db, folder)) or list(_contents(db, folder))
    except (sqlite3.DatabaseError, LibraryDamagedError) as error:
        return [_unreadable(folder, str(error))]


def _lost(folder: Path) -> Finding:
    if not index_files(folder / VECTORS):
        raise LibraryNotFoundError(
            f"There is no library in {folder}. Make one with: secondlook ingest FILES --library {folder}"
        )
    return Finding(
        Part.DATABASE,
        f"{folder / DATABASE} is gone, and with it every text; the index beside it holds none. Restore the file from "
        "a copy, or import an export, or add the documents again.",
    )


def _unreadable(folder: Path, why: str) -> Finding:
    return Finding(
        Part.DATABASE,
        f"{folder / DATABASE} is damaged: {why.rstrip('.')}. What can be read of it is saved into a new library, and "
        f"this one is left as it is, by: secondlook doctor --repair --library {folder}",
    )


def _database(db: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """What SQLite says of its own file, and whether this version knows its format."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise NewerFormatError(
            f"The library {folder} has format {version}; this version of Second Look knows formats up to {FORMAT}. "
            "Update Second Look, or use another folder."
        )
    said = [row[0] for row in db.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    # From 3.44 on SQLite looks into FTS5's tables too: that one is derived, and `contents.words` looks closer.
    wrong = [line for line in said if "FTS5 table main.words" not in line]
    if wrong:
        yield _unreadable(folder, "; ".join(line.replace("\n", " ") for line in wrong))
    elif version < 1:
        yield _unreadable(folder, "it is no library's database")
    elif version < FORMAT:
        yield Finding(
            Part.CONTENT,
            f"The library {folder} has format {version}; it is brought to {FORMAT}, and can be examined, by: "
            f"secondlook doctor --repair --library {folder}",
        )
    else:
        read_manifest(db, folder)  # raises when it does not say what made it


def _contents(db: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    with transaction(db, "DEFERRED"):
        view = View(folder, db, read_manifest(db, folder), Snapshot(db))
        found = [*contents.references(view), *contents.documents(view), *contents.vectors(view)]
        yield from found
        yield from contents.index(view)
        yield from contents.labels(view)
        yield from token_vectors(folder)
        if not _somebody_writes(folder):  # what is being written looks like what was left behind
            yield from contents.litter(view)
    if not found:  # words are held against passages and vectors, which have to be whole first
        yield from contents.words(folder)


def _somebody_writes(folder: Path) -> bool:
    """Whether another process holds the writer's lock just now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):  # where nothing can be written here, nobody knows who writes from elsewhere
        return True
