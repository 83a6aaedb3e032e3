"""The vectors of one generation as SQLite holds them, read in pieces: what FAISS files are derived from."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import LibraryDamagedError
from ingest.notices import Help, Remedy


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Chunk ids of a generation, ascending, and their vectors on demand; valid while its connection is open.

    Eight bytes a chunk are held; vectors only as many as are asked for at once.
    """

    db: sqlite3.Connection
    encoder: int
    dim: int
    ids: NDArray[np.int64]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of shape (len(ids), dim), in the order of ``ids``, which are different from each other.

        Raises `LibraryDamagedError` when one of them is not there.
        """
        order = np.argsort(ids)
        # CROSS JOIN keeps SQLite to this order: chunks by id, so that a batch reads neighbouring pages.
        stored = self.db.execute(
            "SELECT v.vector FROM json_each(?) AS wanted CROSS JOIN chunks AS c ON c.id = wanted.value "
            "CROSS JOIN vectors AS v ON v.encoder = ? AND v.passage_hash = c.passage_hash",
            (json.dumps(ids[order].tolist()), self.encoder),
        ).fetchall()
        if len(stored) != len(ids):
            raise LibraryDamagedError(
                f"The library lacks the vectors of {len(ids) - len(stored)} passages. Make them anew.",
                Help(Remedy.REBUILD),
            )
        vectors = np.empty((len(ids), self.dim), dtype=np.float32)
        vectors[order] = np.frombuffer(b"".join(row[0] for row in stored), dtype="<f4").reshape(-1, self.dim)
        return vectors


def active_encoder(db: sqlite3.Connection) -> int:
    """The number of the encoder that the manifest names, 0 where it has no vectors here."""
    row = db.execute(
        "SELECT e.id FROM encoders AS e JOIN manifest AS m ON e.identity = json_extract(m.value, '$') "
        "WHERE m.key = 'identity'"
    ).fetchone()
    return row["id"] if row else 0


def active_identity(db: sqlite3.Connection) -> str:
    """The identity of the encoder that the manifest names, "" where it names none."""
    row = db.execute(
        "SELECT json_extract(value, '$') AS name FROM manifest WHERE key = 'identity'"
    ).fetchone()
    return str(row["name"]) if row else ""


def encoder_number(db: sqlite3.Connection, identity: str) -> int:
    """The number of the encoder with this identity, which it gets now where it has none."""
    db.execute("INSERT OR IGNORE INTO encoders (identity) VALUES (?)", (identity,))
    number: int = db.execute("SELECT id FROM encoders WHERE identity = ?", (identity,)).fetchone()[0]
    return number


def id_array(cursor: sqlite3.Cursor) -> NDArray[np.int64]:
    """The first column of all rows, shape (n,)."""
    return np.fromiter((row[0] for row in cursor), dtype=np.int64)
