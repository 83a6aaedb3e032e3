"""Is a library whole? Every part of it compared with what the other parts say; nothing is changed.

What SQLite holds is checked by SQLite itself (its pages, its keys), and by what was stored beside it: a document's
hash, its passages' places and hashes, the length of a vector. The FAISS file has a checksum, and the same ids and,
where it is exact, the same vectors as SQLite. What has neither checksum nor double goes unnoticed: a document's path,
a page number, a grade. See docs/reliability.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ingest import indexes, word_index
from ingest.errors import LibraryDamagedError, LibraryNotFoundError, NewerFormatError
from ingest.inspection import View, differing_vectors, leftovers, live_vectors, reading
from ingest.library import DATABASE, LOCK, VECTORS, read_manifest, transaction
from ingest.rows import document_of, report_of
from ingest.schema import FORMAT
from ingest.snapshot import Snapshot
from ingest.vectors import open_index
from ingest.verification import chunks_fault, document_fault, passage_hash, vector_fault
from ingest.wal import lost_commits


class Part(StrEnum):
    """Which part of a library a finding is about."""

    DATABASE = "database"
    CONTENT = "content"
    VECTORS = "vectors"
    INDEX = "index"
    WORDS = "words"
    LABELS = "labels"
    CALIBRATION = "calibration"
    LITTER = "litter"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which part, and a sentence that says what and what to do."""

    part: Part
    sentence: str


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
    if not (folder / VECTORS).is_dir():
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
    wrong = [row[0] for row in db.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
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
        found = [*_references(view), *_documents(view), *_vectors(view)]
        yield from found
        yield from _index(view)
        yield from _labels(view)
        if not _somebody_writes(folder):  # what is being written looks like what was left behind
            yield from _litter(view)
    if not found:  # words are held against passages and vectors, which have to be whole first
        yield from _words(folder)


def _references(view: View) -> Iterator[Finding]:
    broken = view.db.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        yield Finding(
            Part.CONTENT,
            f"{len(broken)} rows ({tables}) refer to something that is not there. {view.remedy}",
        )


def _documents(view: View) -> Iterator[Finding]:
    active = view.snapshot.generation.id
    numbers = view.db.execute("SELECT number FROM documents WHERE born <= ? ORDER BY number", (active,))
    for (number,) in numbers.fetchall():
        row = view.db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        chunks = view.db.execute("SELECT * FROM chunks WHERE document = ? ORDER BY id", (number,)).fetchall()
        fault = document_fault(row) or chunks_fault(document_of(row), row["chunk_count"], chunks)
        if fault:
            yield Finding(
                Part.CONTENT,
                f"The document “{row['title']}” ({row['path']}) is damaged: {fault}. {view.remedy}",
            )
    for key, report in view.db.execute("SELECT key, report FROM sources WHERE born <= ?", (active,)):
        try:
            report_of(report)
        except (ValueError, KeyError, TypeError):
            yield Finding(Part.CONTENT, f"The report of the file {key} cannot be read. {view.remedy}")


def _vectors(view: View) -> Iterator[Finding]:
    lacking = sum(vector is None for _, vector in live_vectors(view))
    if lacking:
        yield Finding(
            Part.VECTORS,
            f"{lacking} passages have no vector, so that no search finds them. They are embedded again by: "
            f"secondlook rebuild --library {view.folder}",
        )
    wrong = sum(
        vector is not None and bool(vector_fault(vector, view.manifest.dim))
        for _, vector in live_vectors(view)
    )
    if wrong:
        yield Finding(
            Part.VECTORS,
            f"{wrong} stored vectors are damaged: their width or length is not an embedding's. {view.remedy}",
        )


def _index(view: View) -> Iterator[Finding]:
    file = view.snapshot.generation.index
    if file is None:
        return
    try:
        index = open_index(view.folder / VECTORS, file, view.manifest.dim)
    except LibraryDamagedError as error:
        yield Finding(Part.INDEX, f"{error} {view.remedy}")
        return
    live = [number for number, vector in live_vectors(view) if vector is not None]
    held = np.sort(indexes.ids_of(index))
    wanted = np.union1d(np.array(live, dtype=np.int64), view.snapshot.tombstones())
    if not np.array_equal(held, wanted):
        yield Finding(
            Part.INDEX,
            f"The index {file.name} holds {len(held)} passages that are not the library's {len(wanted)}. {view.remedy}",
        )
    differing = len(differing_vectors(view, index))
    if differing:
        yield Finding(
            Part.VECTORS,
            f"{differing} stored vectors are not those that the index {file.name} was made of, whose checksum agrees. "
            f"{view.remedy}",
        )


def _words(folder: Path) -> Iterator[Finding]:
    with reading(folder) as db:
        db.execute("BEGIN")  # ended by closing: a damaged index makes SQLite end it before us
        view = View(folder, db, read_manifest(db, folder), Snapshot(db))
        wanted = {number for number, vector in live_vectors(view) if vector is not None}
        fault = word_index.fault(db, wanted)
    if fault:
        yield Finding(Part.WORDS, f"The index of words is damaged: {fault}. {view.remedy}")


def _labels(view: View) -> Iterator[Finding]:
    wrong = 0
    for row in view.db.execute("SELECT * FROM labels"):
        text_agrees = row["text"] is None or passage_hash(row) == row["passage_hash"]
        wrong += not (text_agrees and _is_time(row["judged"]))
    if wrong:
        yield Finding(
            Part.LABELS,
            f"{wrong} labels are damaged: the text or the time beside the grade is not what was stored. Look at them "
            f"with: secondlook labels --library {view.folder}",
        )


def _is_time(stamp: object) -> bool:
    try:
        return datetime.fromisoformat(str(stamp)).tzinfo is not None
    except ValueError:
        return False


def _somebody_writes(folder: Path) -> bool:
    """Whether another process holds the writer's lock just now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):  # where nothing can be written here, nobody knows who writes from elsewhere
        return True


def _litter(view: View) -> Iterator[Finding]:
    active = view.snapshot.generation
    pending = view.db.execute(
        "SELECT (SELECT count(*) FROM documents WHERE born > ?1) + (SELECT count(*) FROM sources WHERE born > ?1) "
        "+ (SELECT count(*) FROM doomed)",
        (active.id,),
    ).fetchone()[0]
    if pending:
        yield Finding(Part.LITTER, f"{pending} rows were written and never published. {view.remedy}")
    name = active.index.name if active.index else ""
    orphans = [path for path in (view.folder / VECTORS).glob("*") if path.name != name]
    for path in orphans + leftovers(view.folder):
        yield Finding(Part.LITTER, f"{path} belongs to nothing. {view.remedy}")
