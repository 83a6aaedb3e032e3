"""What is in a library, each part held against the others: documents, vectors, both indexes, labels, litter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from ingest.errors import LibraryDamagedError
from ingest.findings import Finding, Part
from ingest.inspection import View, differing_vectors, live_vectors, reading
from ingest.library import vector_index, word_index
from ingest.library.index_files import index_files, open_index
from ingest.library.library import VECTORS, read_manifest
from ingest.library.rows import document_of, report_of
from ingest.library.snapshot import Snapshot
from ingest.verification import chunks_fault, document_fault, passage_hash, vector_fault
from ingest.workspace import abandoned


def references(view: View) -> Iterator[Finding]:
    """Rows that refer to rows that are not there."""
    broken = view.db.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        yield Finding(
            Part.CONTENT,
            f"{len(broken)} rows ({tables}) refer to something that is not there. {view.remedy}",
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
                f"The document “{row['title']}” ({row['path']}) is damaged: {fault}. {view.remedy}",
            )
    for key, report in view.db.execute("SELECT key, report FROM sources WHERE born <= ?", (active,)):
        try:
            report_of(report)
        except (ValueError, KeyError, TypeError):
            yield Finding(Part.CONTENT, f"The report of the file {key} cannot be read. {view.remedy}")


def vectors(view: View) -> Iterator[Finding]:
    """Passages without a vector, and vectors that are no embedding."""
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


def index(view: View) -> Iterator[Finding]:
    """The FAISS file, held against its checksum, the passages and the vectors in SQLite."""
    file = view.snapshot.generation.index
    if file is None:
        return
    try:
        index = open_index(view.folder / VECTORS, file, view.manifest.dim)
    except LibraryDamagedError as error:
        yield Finding(Part.INDEX, f"{error} {view.remedy}")
        return
    live = [number for number, vector in live_vectors(view) if vector is not None]
    hidden = view.db.execute(
        "SELECT count(*) FROM tombstones WHERE chunk IN (SELECT id FROM chunks)"
    ).fetchone()[0]
    if hidden:
        yield Finding(
            Part.INDEX,
            f"{hidden} passages are marked as deleted and are not, so that searches by meaning pass over them. "
            f"{view.remedy}",
        )
    held = np.sort(vector_index.ids_of(index))
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


def words(folder: Path) -> Iterator[Finding]:
    """The index of words, held against the passages, in a transaction of its own."""
    with reading(folder) as db:
        db.execute("BEGIN")  # ended by closing: a damaged index makes SQLite end it before us
        view = View(folder, db, read_manifest(db, folder), Snapshot(db))
        wanted = {number for number, vector in live_vectors(view) if vector is not None}
        fault = word_index.fault(db, wanted)
    if fault:
        yield Finding(Part.WORDS, f"The index of words is damaged: {fault}. {view.remedy}")


def labels(view: View) -> Iterator[Finding]:
    """Labels whose text or time is not what was stored."""
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


def litter(view: View) -> Iterator[Finding]:
    """Rows and files that belong to nothing; to be asked while nobody writes."""
    active = view.snapshot.generation
    pending = view.db.execute(
        "SELECT (SELECT count(*) FROM documents WHERE born > ?1) + (SELECT count(*) FROM sources WHERE born > ?1) "
        "+ (SELECT count(*) FROM doomed)",
        (active.id,),
    ).fetchone()[0]
    if pending:
        yield Finding(Part.LITTER, f"{pending} rows were written and never published. {view.remedy}")
    name = active.index.name if active.index else ""
    orphans = [path for path in index_files(view.folder / VECTORS) if path.name != name]
    for path in orphans + abandoned(view.folder):
        yield Finding(Part.LITTER, f"{path} belongs to nothing. {view.remedy}")
