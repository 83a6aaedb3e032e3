"""Is a library whole? Every part of it compared with what the other parts say; nothing is changed.

What SQLite holds is checked by SQLite itself (its pages, its keys), and by what was stored beside it: a document's
hash, its passages' places and hashes, the length of a vector. The FAISS file has a checksum, and the same ids and,
where it is exact, the same vectors as SQLite; rows of token vectors have a checksum each. What has neither checksum
nor double goes unnoticed: a document's path, a page number, a grade. See docs/reliability.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ingest.errors import LibraryDamagedError, NewerFormatError, StorageError
from ingest.library import vector_index, word_index
from ingest.library.files import metadata, originals
from ingest.library.health.checks import (
    chunks_fault,
    document_fault,
    lost_commits,
    passage_hash,
    vector_fault,
)
from ingest.library.health.view import REPAIR, Finding, Part, View, differing_vectors, live_vectors, reading
from ingest.library.index_files import index_files, open_index
from ingest.library.library import DATABASE, LOCK, VECTORS, not_there, read_manifest, transaction
from ingest.library.rows import document_of, report_of
from ingest.library.schema import FORMAT, open_file
from ingest.library.snapshot import Snapshot
from ingest.library.token_vectors import FILE, is_whole
from ingest.notices import Help, Message, Remedy
from ingest.workspace import abandoned


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
        raise not_there(folder)
    return Finding(
        Part.DATABASE,
        f"{folder / DATABASE} is gone, and with it every text; the index beside it holds none. Restore the file from "
        "a copy, or import an export, or add the documents again.",
    )


def _unreadable(folder: Path, why: str) -> Finding:
    return Finding(
        Part.DATABASE,
        f"{folder / DATABASE} is damaged: {why.rstrip('.')}. This library is left as it is; save what can be read of "
        "it into a new one.",
        Help(Remedy.REPAIR, folder),
    )


def _database(db: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """What SQLite says of its own file, and whether this version knows its format."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise NewerFormatError(
            f"The library {folder} has format {version}; this version of Second Look knows formats up to {FORMAT}. "
            "Update Second Look, or use another folder."
        )
    faults = [row[0] for row in db.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    # From 3.44 on SQLite looks into FTS5's tables too: that one is derived, and `words` looks closer.
    wrong = [line for line in faults if "FTS5 table main.words" not in line]
    if wrong:
        yield _unreadable(folder, "; ".join(line.replace("\n", " ") for line in wrong))
    elif version < 1:
        yield _unreadable(folder, "it is no library's database")
    elif version < FORMAT:
        yield Finding(
            Part.CONTENT,
            f"The library {folder} has format {version}. Bring it to {FORMAT}, so that it can be examined.",
            Help(Remedy.REPAIR, folder),
        )
    else:
        read_manifest(db, folder)  # raises when it does not say what made it


def _contents(db: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    with transaction(db, "DEFERRED"):
        view = View(folder, db, read_manifest(db, folder), Snapshot(db))
        findings = [*references(view), *documents(view), *vectors(view)]
        yield from findings
        yield from index(view)
        yield from labels(view)
        yield from token_vectors(folder)
        yield from kept_files(view)
        if not _somebody_writes(folder):  # what is being written looks like what was left behind
            yield from litter(view)
    if not findings:  # words are held against passages and vectors, which have to be whole first
        yield from words(folder)


def _somebody_writes(folder: Path) -> bool:
    """Whether another process holds the writer's lock just now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):  # where nothing can be written here, nobody knows who writes from elsewhere
        return True


def references(view: View) -> Iterator[Finding]:
    """Rows that refer to rows that are not there."""
    broken = view.db.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        yield Finding(
            Part.CONTENT,
            f"{len(broken)} rows ({tables}) refer to something that is not there. {REPAIR}",
            view.repair,
        )


def documents(view: View) -> Iterator[Finding]:
    """Documents, their passages and their files' reports, held against what was stored beside them."""
    active = view.snapshot.generation.id
    numbers = view.db.execute("SELECT number FROM documents WHERE born <= ? ORDER BY number", (active,))
    for (number,) in numbers.fetchall():
        row = view.db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        chunks = view.db.execute("SELECT * FROM chunks WHERE document = ? ORDER BY id", (number,)).fetchall()
        fault = document_fault(row) or chunks_fault(document_of(row), row["chunk_count"], chunks)
        if fault:
            yield Finding(
                Part.CONTENT,
                f"The document “{row['title']}” ({row['path']}) is damaged: {fault}. {REPAIR}",
                view.repair,
            )
    if unknown := len(metadata.damaged(view.db)):
        yield Finding(
            Part.CONTENT,
            f"What is known of {unknown} documents besides their text (author, dates, tags) cannot be read. {REPAIR}",
            view.repair,
        )
    for key, report in view.db.execute("SELECT key, report FROM sources WHERE born <= ?", (active,)):
        try:
            report_of(report)
        except (ValueError, KeyError, TypeError):
            yield Finding(Part.CONTENT, f"The report of the file {key} cannot be read. {REPAIR}", view.repair)


def vectors(view: View) -> Iterator[Finding]:
    """Passages without a vector, and vectors that are no embedding."""
    lacking = sum(vector is None for _, vector in live_vectors(view))
    if lacking:
        yield Finding(
            Part.VECTORS,
            f"{lacking} passages have no vector, so that no search finds them. Embed them again.",
            Help(Remedy.REBUILD, view.folder),
        )
    wrong = sum(
        vector is not None and bool(vector_fault(vector, view.manifest.dim))
        for _, vector in live_vectors(view)
    )
    if wrong:
        yield Finding(
            Part.VECTORS,
            f"{wrong} stored vectors are damaged: their width or length is not an embedding's. {REPAIR}",
            view.repair,
        )


def index(view: View) -> Iterator[Finding]:
    """The FAISS file, held against its checksum, the passages and the vectors in SQLite."""
    file = view.snapshot.generation.index
    if file is None:
        return
    try:
        index = open_index(view.folder / VECTORS, file, view.manifest.dim)
    except LibraryDamagedError as error:
        yield Finding(Part.INDEX, f"{error} {REPAIR}", view.repair)
        return
    live = [number for number, vector in live_vectors(view) if vector is not None]
    hidden = view.db.execute(
        "SELECT count(*) FROM tombstones WHERE chunk IN (SELECT id FROM chunks)"
    ).fetchone()[0]
    if hidden:
        yield Finding(
            Part.INDEX,
            f"{hidden} passages are marked as deleted and are not, so that searches by meaning pass over them. "
            f"{REPAIR}",
            view.repair,
        )
    held = np.sort(vector_index.ids_of(index))
    wanted = np.union1d(np.array(live, dtype=np.int64), view.snapshot.tombstones())
    if not np.array_equal(held, wanted):
        yield Finding(
            Part.INDEX,
            f"The index {file.name} holds {len(held)} passages that are not the library's {len(wanted)}. {REPAIR}",
            view.repair,
        )
    differing = len(differing_vectors(view, index))
    if differing:
        yield Finding(
            Part.VECTORS,
            f"{differing} stored vectors are not those that the index {file.name} was made of, whose checksum agrees. "
            f"{REPAIR}",
            view.repair,
        )


def words(folder: Path) -> Iterator[Finding]:
    """The index of words, held against the passages, in a transaction of its own."""
    with reading(folder) as db:
        db.execute("BEGIN")  # ended by closing: a damaged index makes SQLite end it before us
        view = View(folder, db, read_manifest(db, folder), Snapshot(db))
        wanted = {number for number, vector in live_vectors(view) if vector is not None}
        fault = word_index.fault(db, wanted)
    if fault:
        yield Finding(Part.WORDS, f"The index of words is damaged: {fault}. {REPAIR}", view.repair)


def labels(view: View) -> Iterator[Finding]:
    """Labels whose text or time is not what was stored."""
    wrong = 0
    for row in view.db.execute("SELECT * FROM labels"):
        text_agrees = row["text"] is None or passage_hash(row) == row["passage_hash"]
        wrong += not (text_agrees and _is_time(row["judged"]))
    if wrong:
        yield Finding(
            Part.LABELS,
            f"{wrong} labels are damaged: the text or the time beside the grade is not what was stored. Look at them.",
            Help(Remedy.LIST_LABELS, view.folder),
        )


def kept_files(view: View) -> Iterator[Finding]:
    """Originals, held against the hashes that they lie under."""
    for sha256, size, name in view.db.execute(
        "SELECT sha256, bytes, min(name) FROM (SELECT sha256, bytes, name FROM originals UNION ALL "
        "SELECT sha256, bytes, name FROM replaced) GROUP BY sha256, bytes"
    ):
        if fault := originals.fault(view.folder, sha256, size):
            yield Finding(
                Part.ORIGINALS,
                f"The original of {name} cannot be opened: {fault}. The text of it is as it was. {REPAIR}",
                view.repair,
            )


def _is_time(stamp: object) -> bool:
    try:
        return datetime.fromisoformat(str(stamp)).tzinfo is not None
    except ValueError:
        return False


def litter(view: View) -> Iterator[Finding]:
    """Rows and files that belong to nothing; to be asked while nobody writes."""
    active = view.snapshot.generation
    pending = view.db.execute(
        "SELECT (SELECT count(*) FROM documents WHERE born > ?1) + (SELECT count(*) FROM sources WHERE born > ?1) "
        "+ (SELECT count(*) FROM doomed)",
        (active.id,),
    ).fetchone()[0]
    if pending:
        yield Finding(Part.LITTER, f"{pending} rows were written and never published. {REPAIR}", view.repair)
    name = active.index.name if active.index else ""
    orphans = [path for path in index_files(view.folder / VECTORS) if path.name != name]
    for path in orphans + originals.orphans(view.folder, view.db) + abandoned(view.folder):
        yield Finding(Part.LITTER, f"{path} belongs to nothing. {REPAIR}", view.repair)


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
            f"The token vectors in {folder / FILE} are damaged: {wrong}. Nothing else is lost: have what is "
            "damaged removed.",
            Help(Remedy.REPAIR, folder),
        )


def mend_token_vectors(folder: Path) -> Message:
    """Remove the rows that are damaged, or all of a file that SQLite cannot vouch for; what was done."""
    path = folder / FILE
    if _damage(path, rows=False):
        path.unlink(missing_ok=True)
        again = Help(Remedy.LATE_INTERACTION)
        return Message("The file of token vectors was removed. Have them stored again.", again)
    with closing(open_file(path, "rw")) as db:
        bad = [(number,) for number in _damaged_rows(db)]
        db.executemany("DELETE FROM token_vectors WHERE rowid = ?", bad)
    return Message(
        f"{len(bad)} damaged rows of token vectors were removed; the next ingest computes them again."
    )


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
    rows = db.execute("SELECT rowid, passage_hash, checksum, data FROM token_vectors")
    return (number for number, *row in rows if not is_whole(*row))
