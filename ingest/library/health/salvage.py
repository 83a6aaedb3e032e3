"""Save what can be read of a library whose SQLite file is damaged, into a new library beside it.

The damaged files are copied first and only the copy is opened, so that the original stays as it was found. Tables are
read row by row; a row that cannot be read is passed over and counted, and a row that can be read is believed only
if its checksums agree.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from ingest.chunker import CHUNKER_VERSION, DEFAULT_CHUNK_TOKENS
from ingest.errors import LibraryDamagedError
from ingest.library.files import metadata, originals
from ingest.library.files.originals import NAME, ORIGINALS, Original
from ingest.library.health.checks import chunks_fault, document_fault, passage_hash, vector_fault
from ingest.library.health.view import reading_what_is_left
from ingest.library.library import DATABASE, Library, Manifest, read_manifest, transaction
from ingest.library.rows import document_of
from ingest.library.writer import writing
from ingest.notices import Help, Message, Remedy
from ingest.workspace import SAVING, Workspace

UNKNOWN = "unknown"
# In the order in which they refer to each other.
DOCUMENT_TABLES = ("encoders", "documents", "chunks", "vectors", "identities", "metadata")
LABEL_TABLES = ("labels", "label_pairs", "label_ranks")


@dataclass(frozen=True, slots=True)
class Saved:
    """The new library, and what was saved and what was not."""

    folder: Path
    messages: tuple[Message, ...]


@dataclass
class _Loss:
    """What was met on the way: rows that were unreadable, titles of documents lost or to be cut again, what made it."""

    unreadable: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    recut: list[str] = field(default_factory=list)
    manifest: bool = False


def salvage(folder: Path) -> Saved:
    """Save what can be read of the damaged library in ``folder`` into a new one beside it.

    Raises `LibraryDamagedError` where nothing can be read.
    """
    real = folder.resolve()  # “.” has no name to put anything behind
    target = next(path for n in count(1) if not (path := real.with_name(f"{real.name}-saved-{n}")).exists())
    with Workspace(real.parent, SAVING) as aside:
        copy, making = aside / "copy", aside / "made"
        _copy(folder, copy)
        loss = _Loss()
        try:
            with reading_what_is_left(copy) as old:
                documents = _save(old, folder, making, loss)
        except sqlite3.DatabaseError as error:
            raise _nothing(folder, str(error)) from error
        if not documents and not loss.lost and (loss.manifest or not loss.unreadable):
            raise _nothing(folder, "no document is in it")
        os.rename(making, target)
    return Saved(target, tuple(_messages(folder, target, documents, loss)))


def _copy(folder: Path, copy: Path) -> None:
    copy.mkdir()
    for ending in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(folder / f"{DATABASE}{ending}", copy / f"{DATABASE}{ending}")
    if not (copy / DATABASE).exists():
        raise _nothing(folder, "the file is gone")


def _nothing(folder: Path, why: str) -> LibraryDamagedError:
    return LibraryDamagedError(
        f"Nothing can be saved from {folder / DATABASE} ({why}); it was left as it is. Restore it from a copy, or "
        "import an export, or add the documents again."
    )


def _save(old: sqlite3.Connection, folder: Path, making: Path, loss: _Loss) -> int:
    """Fill the new library and publish it; the number of documents in it."""
    manifest = _manifest(old)
    loss.manifest = manifest.encoder == UNKNOWN
    library = Library.create(making, manifest)
    with writing(library) as writer:
        with library.connection() as new, transaction(new):
            _save_tables(old, new, DOCUMENT_TABLES, loss)
            _check_documents(new, loss)
            _check_vectors(new, manifest)
            # After the documents: deleting one takes the text of its labels along, which is for people to ask.
            _save_tables(old, new, LABEL_TABLES, loss)
            _check_labels(new)
            _save_originals(old, new, folder, making, loss)
            metadata.mend(new)
            documents: int = new.execute("SELECT count(*) FROM documents").fetchone()[0]
        if documents:
            writer.publish()
    return documents


def _manifest(old: sqlite3.Connection) -> Manifest:
    """What made the library, or, where that is lost, one that a rebuild replaces."""
    try:
        return read_manifest(old, Path())
    except (sqlite3.DatabaseError, LibraryDamagedError, ValueError):
        return Manifest(UNKNOWN, UNKNOWN, 1, DEFAULT_CHUNK_TOKENS, CHUNKER_VERSION)


def _save_tables(
    old: sqlite3.Connection, new: sqlite3.Connection, tables: Sequence[str], loss: _Loss
) -> None:
    active = _active(old)
    for table in tables:
        columns = [row["name"] for row in new.execute(f"PRAGMA table_info({table})")]
        names = ", ".join(f'"{name}"' for name in columns)
        insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
        for row in _rows(old, table, loss):
            values = dict(row)
            if table == "documents":
                if active is not None and values["born"] > active:
                    continue  # never published
                values["born"] = 1
            with suppress(sqlite3.IntegrityError):  # a row that belongs to one that was lost
                new.execute(insert, [values[name] for name in columns])


def _active(old: sqlite3.Connection) -> int | None:
    """The active generation, ``None`` where that cannot be read."""
    try:
        active: int | None = old.execute("SELECT max(id) FROM generations").fetchone()[0]
    except sqlite3.DatabaseError:
        return None
    return active


def _rows(old: sqlite3.Connection, table: str, loss: _Loss) -> Iterator[sqlite3.Row]:
    """Rows of a table in order; past one that cannot be read, the next that can be."""
    at, last, unreadable = 0, _last_row(old, table), 0
    while True:
        try:
            for row in old.execute(
                f"SELECT rowid AS at, * FROM {table} WHERE rowid > ? ORDER BY rowid", (at,)
            ):
                at = row["at"]
                yield row
            break
        except sqlite3.DatabaseError:
            at += 1
            unreadable += 1
            if at > last:
                break
    if unreadable:
        loss.unreadable[table] = unreadable


def _last_row(old: sqlite3.Connection, table: str) -> int:
    """The highest row number that the table can have, 0 where even that cannot be read."""
    for query in (
        f"SELECT max(rowid) FROM {table}",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
    ):
        try:
            row = old.execute(query).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None and row[0] is not None:
            return int(row[0])
    return 0


def _check_documents(new: sqlite3.Connection, loss: _Loss) -> None:
    """Keep documents whose checksums agree, and their passages where all are whole; only the text otherwise."""
    for (number,) in new.execute("SELECT number FROM documents ORDER BY number").fetchall():
        row = new.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        chunks = new.execute("SELECT * FROM chunks WHERE document = ? ORDER BY id", (number,)).fetchall()
        if document_fault(row):
            loss.lost.append(f"“{row['title']}” ({row['path']})")
            new.execute("DELETE FROM documents WHERE number = ?", (number,))
        elif chunks_fault(document_of(row), row["chunk_count"], chunks):
            loss.recut.append(f"“{row['title']}”")
            new.execute("DELETE FROM chunks WHERE document = ?", (number,))
            new.execute("UPDATE documents SET chunk_count = 0 WHERE number = ?", (number,))


def _check_vectors(new: sqlite3.Connection, manifest: Manifest) -> None:
    bad = [
        (rowid,)
        for rowid, raw in new.execute("SELECT rowid, vector FROM vectors")
        if vector_fault(raw, manifest.dim)
    ]
    new.executemany("DELETE FROM vectors WHERE rowid = ?", bad)


def _save_originals(
    old: sqlite3.Connection, new: sqlite3.Connection, folder: Path, making: Path, loss: _Loss
) -> None:
    """Copy the files whose hashes agree, of documents that were saved."""
    sources = {row[0] for row in new.execute("SELECT source FROM documents")}
    for row in _rows(old, "originals", loss):
        original = Original(row["source"], row["sha256"], row["bytes"], row["name"])
        whole = original.source in sources and NAME.fullmatch(str(original.sha256)) is not None
        if whole and not originals.fault(folder, original.sha256, original.bytes):
            originals.keep(making, folder / ORIGINALS / original.sha256, original.sha256, original.name)
            originals.insert(new, 1, original)


def _check_labels(new: sqlite3.Connection) -> None:
    """Keep a label's grade; the text beside it only where its checksum agrees."""
    for row in new.execute("SELECT rowid AS at, * FROM labels WHERE text IS NOT NULL").fetchall():
        if passage_hash(row) != row["passage_hash"]:
            new.execute("UPDATE labels SET title = NULL, text = NULL WHERE rowid = ?", (row["at"],))


def _messages(folder: Path, target: Path, documents: int, loss: _Loss) -> Iterator[Message]:
    rebuild = Help(Remedy.REBUILD, target)
    yield Message(
        f"{documents} documents were saved into the new library {target}; {folder} was left as it is."
    )
    if loss.manifest:
        yield Message(
            "What made the library could not be read, so that its vectors are of no use. No search works before it is "
            "rebuilt.",
            rebuild,
        )
    if loss.lost:
        yield Message(
            f"Not saved, because their text is damaged: {', '.join(loss.lost)}. Add their files again."
        )
    rows = ", ".join(f"{number} in {table}" for table, number in loss.unreadable.items())
    if rows:
        yield Message(f"Places that could not be read, each one row or none: {rows}.")
    if loss.recut:
        yield Message(
            f"Saved as text, but without passages: {', '.join(loss.recut)}. No search finds them before the library is "
            "rebuilt.",
            rebuild,
        )
