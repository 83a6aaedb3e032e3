"""How the doctor looks at a library: read-only, one generation pinned, a passage's vector here and in the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.library import vector_index
from ingest.library.library import DATABASE, Manifest
from ingest.library.schema import open_file
from ingest.library.snapshot import Snapshot
from ingest.notices import Help, Remedy

# What every finding that can be repaired ends with.
REPAIR = "Repair it."


@dataclass(frozen=True, slots=True)
class View:
    """One generation of a library, pinned, with what it takes to check it."""

    folder: Path
    db: sqlite3.Connection
    manifest: Manifest
    snapshot: Snapshot

    @property
    def repair(self) -> Help:
        """What helps with every finding that ends with `REPAIR`."""
        return Help(Remedy.REPAIR, self.folder)


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, and so never changes a damaged file; broken characters are read as such."""
    with _as_it_is(open_file(folder / DATABASE, "ro")) as db:
        yield db


@contextmanager
def reading_what_is_left(folder: Path) -> Iterator[sqlite3.Connection]:
    """The same of a file that is damaged for certain: a table beyond its cut-off end does not hide the others."""
    path = (folder / DATABASE).absolute()
    with _as_it_is(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")  # what SQLite cannot make sense of it then passes over
        yield db


@contextmanager
def _as_it_is(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.row_factory = sqlite3.Row
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        yield db
    finally:
        db.close()


def live_vectors(view: View) -> Iterator[tuple[int, object]]:
    """Every chunk of the generation, by id, with its stored bytes, ``None`` where it has no vector."""
    rows = view.db.execute(
        "SELECT c.id, v.vector FROM chunks AS c JOIN documents AS d ON d.number = c.document "
        "LEFT JOIN vectors AS v ON v.passage_hash = c.passage_hash AND v.encoder = "
        "(SELECT id FROM encoders WHERE identity = ?) WHERE d.born <= ? ORDER BY c.id",
        (view.manifest.identity, view.snapshot.generation.id),
    )
    return ((row[0], row[1]) for row in rows)


def differing_vectors(view: View, index: faiss.Index) -> dict[int, NDArray[np.float32]]:
    """Chunks whose stored vector is missing or not the index's, with the index's: ``{chunk id: (dim,)}``.

    Nothing for an index that quantises: it holds no vector exactly.
    """
    flat = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else None
    if not isinstance(flat, faiss.IndexFlat):
        return {}
    ids = vector_index.ids_of(index)
    rows = faiss.rev_swig_ptr(flat.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
    place = {number: position for position, number in enumerate(ids.tolist())}
    return {
        number: rows[place[number]].copy()
        for number, vector in live_vectors(view)
        if number in place and vector != rows[place[number]].astype("<f4").tobytes()
    }


class Part(StrEnum):
    """Which part of a library a finding is about."""

    DATABASE = "database"
    CONTENT = "content"
    VECTORS = "vectors"
    INDEX = "index"
    WORDS = "words"
    LABELS = "labels"
    LATE_INTERACTION = "token vectors"
    CALIBRATION = "calibration"
    ORIGINALS = "originals"
    LITTER = "litter"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which part, what it is and what to do, and how."""

    part: Part
    text: str
    help: Help | None = None

    def __str__(self) -> str:
        return self.text
