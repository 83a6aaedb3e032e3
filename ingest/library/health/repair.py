"""Make a library whole again from what is whole in it; what cannot be made is said, and never dropped in silence.

Where SQLite itself is damaged nothing is repaired in place: `ingest.library.health.salvage` saves what can be read
into a library beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss

from ingest.chunker import MAX_TITLE_CHARACTERS
from ingest.errors import LibraryDamagedError
from ingest.library import word_index
from ingest.library.files import metadata, originals
from ingest.library.health.checks import chunk_fault, document_fault, mended_text, vector_fault
from ingest.library.health.doctor import examine, mend_token_vectors
from ingest.library.health.salvage import salvage
from ingest.library.health.view import Finding, Part, View, differing_vectors, live_vectors
from ingest.library.index_files import open_index
from ingest.library.library import VECTORS, Library, transaction
from ingest.library.rows import document_of, report_of
from ingest.library.snapshot import Snapshot
from ingest.library.writer import writing
from ingest.notices import Help, Message, Remedy
from ingest.records import Document


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done; ``saved_to`` is the new library where the old one could not be repaired."""

    done: tuple[Message, ...]
    saved_to: Path | None = None


def repair(folder: Path) -> Repair:
    """Repair what `examine` finds in the library.

    Raises `LibraryNotFoundError`, `LibraryBusyError` while another process writes, and `LibraryDamagedError` where
    nothing can be read.
    """
    findings = examine(folder)
    if any(finding.part is Part.DATABASE for finding in findings):
        saved = salvage(folder)
        return Repair(saved.messages, saved.folder)
    if not findings:
        return Repair(())
    return Repair(tuple(_mend(Library(folder), findings)))


def _mend(library: Library, findings: Sequence[Finding]) -> list[Message]:
    parts = {finding.part for finding in findings}
    messages = (
        [Message("Rows and files that belong to nothing were removed.")] if Part.LITTER in parts else []
    )
    with writing(library) as writer:  # discards what is pending, and files and folders that belong to nothing
        with library.connection() as db:
            db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            with transaction(db):
                messages += _mend_metadata(db)
                messages += _mend_references(db) + _mend_documents(db) + _mend_sources(db)
                messages += _mend_tombstones(db)
                messages += _mend_vectors(View(library.folder, db, writer.manifest, Snapshot(db)))
                if parts & {Part.CONTENT, Part.VECTORS, Part.WORDS}:
                    word_index.remake(db)
                    messages.append(Message("The index of words was built again from the passages."))
        if parts & {Part.CONTENT, Part.VECTORS, Part.INDEX}:
            writer.publish()
            messages.append(Message("The index was built again from the stored vectors."))
        if Part.ORIGINALS in parts:
            messages += _mend_originals(library)
        if Part.LATE_INTERACTION in parts:
            messages.append(mend_token_vectors(library.folder))
    return messages


def _mend_references(db: sqlite3.Connection) -> list[Message]:
    """Rows without what they belong to are only ever derived ones: passages, vectors, places of labels."""
    broken = db.execute("PRAGMA foreign_key_check").fetchall()
    for table, rowid, *_ in broken:
        db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
    return [Message(f"{len(broken)} rows that belonged to nothing were removed.")] if broken else []


def _mend_documents(db: sqlite3.Connection) -> list[Message]:
    messages: list[Message] = []
    for (number,) in db.execute("SELECT number FROM documents ORDER BY number").fetchall():
        row = db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        chunks = db.execute("SELECT * FROM chunks WHERE document = ? ORDER BY id", (number,)).fetchall()
        if document_fault(row):
            messages.append(_mend_document(db, row, chunks))
            row = db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        if not document_fault(row):
            messages += _mend_chunks(db, document_of(row), chunks)
            messages += _missing_chunks(db, row, len(chunks))
    return messages


def _mend_document(db: sqlite3.Connection, row: sqlite3.Row, chunks: Sequence[sqlite3.Row]) -> Message:
    """Put the text together from its passages, or have the next ingest of its file read it again."""
    text = mended_text(row, chunks)
    if text is not None:
        db.execute("UPDATE documents SET text = ? WHERE number = ?", (text, row["number"]))
        return Message(f"The text of “{row['title']}” was put together again from its passages.")
    _forget_source(db, row)
    return Message(
        f"“{row['title']}” cannot be repaired. Add its file again.",
        Help(Remedy.INGEST, subject=row["path"], also=Help(Remedy.DELETE, subject=row["id"])),
    )


def _forget_source(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Without its hashes the file counts as changed, and so is read again though its bytes are the same."""
    db.execute("DELETE FROM sources WHERE key = ?", (row["source"],))
    db.execute("UPDATE documents SET content_hash = '' WHERE number = ?", (row["number"],))


def _mend_chunks(db: sqlite3.Connection, document: Document, chunks: Sequence[sqlite3.Row]) -> list[Message]:
    """Write passages anew from a whole document's text, where the place that they name fits their checksum."""
    mended = 0
    for row in chunks:
        if not chunk_fault(document, row):
            continue
        fresh = {
            "text": document.text[row["start"] : row["end"]],
            "title": document.title[:MAX_TITLE_CHARACTERS],
        }
        if not chunk_fault(document, {**dict(row), **fresh}):
            db.execute(
                "UPDATE chunks SET text = :text, title = :title WHERE id = :id", {**fresh, "id": row["id"]}
            )
            mended += 1
    if not mended:
        return []
    return [Message(f"{mended} passages of “{document.title}” were written again from its text.")]


def _missing_chunks(db: sqlite3.Connection, row: sqlite3.Row, there: int) -> list[Message]:
    if there == row["chunk_count"]:
        return []
    lacking = row["chunk_count"] - there
    return [
        Message(
            f"“{row['title']}” lacks {lacking} passages; its text is whole. Cut it again.",
            Help(Remedy.REBUILD),
        )
    ]


def _mend_tombstones(db: sqlite3.Connection) -> list[Message]:
    """A passage that is there is not deleted, whatever a tombstone says; only those of passages that are gone count."""
    hidden = db.execute("DELETE FROM tombstones WHERE chunk IN (SELECT id FROM chunks)").rowcount
    return [Message(f"{hidden} passages that were hidden as deleted are found again.")] if hidden else []


def _mend_sources(db: sqlite3.Connection) -> list[Message]:
    """Forget reports that cannot be read: the file is then read again by the next ingest."""
    broken = []
    for key, report in db.execute("SELECT key, report FROM sources").fetchall():
        try:
            report_of(report)
        except (ValueError, KeyError, TypeError):
            broken.append((key,))
    db.executemany("DELETE FROM sources WHERE key = ?", broken)
    if not broken:
        return []
    return [
        Message(f"{len(broken)} reports of files were forgotten; the next ingest reads those files again.")
    ]


def _mend_vectors(view: View) -> list[Message]:
    """Take vectors back from an index whose checksum agrees; remove damaged ones that it does not hold."""
    index = _whole_index(view)
    vectors = differing_vectors(view, index) if index is not None else {}
    for number, vector in vectors.items():
        view.db.execute(
            "INSERT OR REPLACE INTO vectors SELECT e.id, c.passage_hash, ? FROM encoders AS e, chunks AS c "
            "WHERE e.identity = ? AND c.id = ?",
            (vector.astype("<f4").tobytes(), view.manifest.identity, number),
        )
    bad = [
        (number, view.manifest.identity)
        for number, raw in live_vectors(view)
        if raw is not None and vector_fault(raw, view.manifest.dim)
    ]
    view.db.executemany(
        "DELETE FROM vectors WHERE passage_hash = (SELECT passage_hash FROM chunks WHERE id = ?) "
        "AND encoder = (SELECT id FROM encoders WHERE identity = ?)",
        bad,
    )
    messages = [Message(f"{len(vectors)} vectors were taken back from the index.")] if vectors else []
    if bad:
        messages.append(
            Message(
                f"{len(bad)} damaged vectors were removed. Embed their passages again.", Help(Remedy.REBUILD)
            )
        )
    return messages


def _mend_metadata(db: sqlite3.Connection) -> list[Message]:
    mended = metadata.mend(db)
    if not mended:
        return []
    return [
        Message(f"What was known of {mended} documents besides their text is lost. A rebuild reads it again.")
    ]


def _mend_originals(library: Library) -> list[Message]:
    """Forget originals that are not what was kept; a file that lies where it lay is kept anew by the next ingest."""
    with library.connection() as db, transaction(db):
        names = []
        for table in ("originals", "replaced"):
            for row in db.execute(f"SELECT rowid, sha256, bytes, name FROM {table}").fetchall():
                if originals.fault(library.folder, row["sha256"], row["bytes"]):
                    db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["rowid"],))
                    names.append(row["name"])
        originals.sweep(library.folder, db)
    return [
        Message(f"The original of {name} is damaged or gone, and is forgotten. Add the file again.")
        for name in names
    ]


def _whole_index(view: View) -> faiss.Index | None:
    file = view.snapshot.generation.index
    try:
        return None if file is None else open_index(view.folder / VECTORS, file, view.manifest.dim)
    except LibraryDamagedError:
        return None  # it is built again below
