"""Vectors of passages' tokens beside a library, for rerankers that compare token with token: derived, safe to delete.

`token-vectors.sqlite` in the library's folder holds a row for each passage and model, under the model's identity and
the passage's hash: bytes that only the model's reader knows, with a checksum. The models in it are those that were
asked for; an ingest brings their rows up to date. Vectors reveal text, so that rows go with their passages: every
writer of the library forgets them before it lets go of it (`ingest.library.writer.writing`).
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from ingest.disk import refusal
from ingest.errors import LibraryDamagedError, LibraryError, SecondLookError
from ingest.library.library import Library, transaction
from ingest.library.schema import open_file
from ingest.notices import Help, Remedy

log = logging.getLogger(__name__)

FILE = "token-vectors.sqlite"
# Milliseconds that a search waits for a writer before it computes the vectors itself, and a writer for another.
READ_WAIT, WRITE_WAIT = 500, 30_000
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS models "
    "(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, identity TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS token_vectors (model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE, "
    "passage_hash TEXT NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (passage_hash, model))",
    "CREATE INDEX IF NOT EXISTS by_model ON token_vectors (model)",
)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_OF_MODEL = "model = (SELECT id FROM models WHERE identity = ?)"


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """A model whose token vectors are to be stored: by the name that was asked for, and what makes its vectors."""

    name: str
    identity: str


class TokenStore:
    """The token vectors beside one library. Cheap to make; threads and processes may share the file.

    Its methods raise `StorageError` where the disk refuses, and `LibraryDamagedError` where the file was damaged: it
    is removed then, as nothing in it is the truth. A search waits for `is_requested` and `stored`: they never raise.
    """

    def __init__(self, library: Library) -> None:
        """Nothing is opened yet, and nothing is made before a model is requested."""
        self.path = library.folder / FILE
        self._library = library

    @property
    def exists(self) -> bool:
        """Whether a model was ever requested here; an empty file is one that a process died over."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def requested_models(self) -> list[RequestedModel]:
        """The models that were asked for, the first one first; none where there is no file."""
        if not self.exists:
            return []
        with self._open() as db:
            return [
                RequestedModel(*row) for row in db.execute("SELECT name, identity FROM models ORDER BY id")
            ]

    def is_requested(self, identity: str) -> bool:
        """Whether this model was asked for; never raises: where that cannot be read, a search does without."""
        try:
            return any(model.identity == identity for model in self.requested_models())
        except (SecondLookError, OSError) as error:
            log.warning("%s", error)
            return False

    def request(self, model: RequestedModel) -> None:
        """Remember that this model is requested; what was stored of another model by its name goes."""
        with self._open("rwc") as db:
            db.execute("PRAGMA page_size = 16384")  # of a new file: a row is tens of kilobytes
            with transaction(db):
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute(
                    "DELETE FROM models WHERE name = ? AND identity <> ?", (model.name, model.identity)
                )
                db.execute(
                    "INSERT OR IGNORE INTO models (name, identity) VALUES (?, ?)",
                    (model.name, model.identity),
                )

    def lacking(self, identity: str) -> list[int]:
        """Ids of the active generation's chunks without a row of this model: one for each passage, ascending."""
        with self._library.connection() as truth:
            rows = truth.execute(
                "SELECT c.passage_hash, min(c.id) FROM chunks AS c JOIN documents AS d ON d.number = c.document "
                "WHERE d.born <= (SELECT coalesce(max(id), 0) FROM generations) GROUP BY c.passage_hash"
            )
            live: dict[str, int] = dict(rows.fetchall())
        if self.exists:
            with self._open() as db:
                for (name,) in db.execute(
                    f"SELECT passage_hash FROM token_vectors WHERE {_OF_MODEL}", (identity,)
                ):
                    live.pop(name, None)
        return sorted(live.values())

    def put(self, identity: str, rows: Mapping[str, bytes]) -> bool:
        """Keep these, by passage hash, in one transaction; whether the model is still requested.

        Rows of passages that the library has lost meanwhile are not kept. It is asked under this file's lock, which
        whoever deletes needs too, after the deletion: so no row can come behind the one who forgets it.
        """
        if not self.exists:
            return False
        with self._open() as db, transaction(db):
            model = db.execute("SELECT id FROM models WHERE identity = ?", (identity,)).fetchone()
            if model is None:
                return False
            hashes = self._held(rows)
            db.executemany(
                "INSERT OR REPLACE INTO token_vectors (model, passage_hash, checksum, data) VALUES (?, ?, ?, ?)",
                [(model[0], name, _checksum(name, rows[name]), rows[name]) for name in hashes],
            )
        return True

    def stored(self, identity: str, hashes: Sequence[str]) -> dict[str, bytes]:
        """The rows of those passages that there are, whole; never raises: the others have to be computed.

        A damaged row is removed, so that the next ingest computes it again.
        """
        try:
            if not self.exists:
                return {}
            with closing(open_file(self.path, "rw")) as db:
                db.execute(f"PRAGMA busy_timeout = {READ_WAIT}")
                rows = db.execute(
                    f"SELECT passage_hash, checksum, data FROM token_vectors WHERE {_OF_MODEL} "
                    "AND passage_hash IN (SELECT value FROM json_each(?))",
                    (identity, json.dumps(list(hashes))),
                ).fetchall()
                whole_rows = {name: data for name, checksum, data in rows if is_whole(name, checksum, data)}
                damaged = [(name,) for name, _, _ in rows if name not in whole_rows]
                if damaged:
                    log.warning("%d rows of %s are damaged and are computed anew", len(damaged), self.path)
                    db.executemany("DELETE FROM token_vectors WHERE passage_hash = ?", damaged)
            return whole_rows
        except (sqlite3.Error, OSError, SecondLookError) as error:
            log.warning("token vectors of %s cannot be read, and are computed: %s", self.path, error)
            return {}

    def forget_gone(self) -> None:
        """Remove the rows of passages that the library no longer holds."""
        if not self.exists:
            return
        with self._open() as db, transaction(db):
            there = [name for (name,) in db.execute("SELECT DISTINCT passage_hash FROM token_vectors")]
            names = set(there).difference(self._held(there))
            db.executemany("DELETE FROM token_vectors WHERE passage_hash = ?", [(name,) for name in names])

    def remove(self) -> bool:
        """Remove all, and the requests; whether there was anything.

        Rows are overwritten first: a process that has the file open just now finds its model no longer wanted.
        """
        if not self.exists:
            return False
        with self._open() as db, transaction(db):
            db.execute("DELETE FROM models")
        self.path.unlink(missing_ok=True)
        return True

    def size(self, identity: str) -> tuple[int, int]:
        """How many passages have a row of this model, and the bytes of these rows."""
        with self._open() as db:
            count, size = db.execute(
                f"SELECT count(*), coalesce(sum(length(data)), 0) FROM token_vectors WHERE {_OF_MODEL}",
                (identity,),
            ).fetchone()
            return count, size

    def _held(self, hashes: Iterable[str]) -> list[str]:
        """Those passages that the library holds."""
        with self._library.connection() as truth:
            rows = truth.execute(
                "SELECT value FROM json_each(?) WHERE value IN (SELECT passage_hash FROM chunks)",
                (json.dumps(list(hashes)),),
            )
            return [name for (name,) in rows]

    @contextmanager
    def _open(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """A connection, closed at the end. The journal is SQLite's rollback journal: in a log rows would outlive."""
        try:
            with closing(open_file(self.path, mode)) as db:
                db.execute(f"PRAGMA busy_timeout = {WRITE_WAIT}")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")  # what a deleted passage was is not left in the file
                yield db
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                self.path.unlink(missing_ok=True)
                raise LibraryDamagedError(
                    f"The file of token vectors {self.path} was damaged ({error}) and is removed; nothing else is "
                    "lost. Have them stored again.",
                    Help(Remedy.LATE_INTERACTION),
                ) from error
            what = f"The file of token vectors {self.path}"
            raise refusal(what, error) or LibraryError(
                f"{what} cannot be used just now: {error}. Try again later."
            ) from error


def forget_gone(library: Library) -> None:
    """Remove the token vectors of passages that the library no longer holds, where it has any.

    A damaged file is removed whole, which forgets too. Raises `StorageError` where nothing can be removed.
    """
    try:
        TokenStore(library).forget_gone()
    except LibraryDamagedError as error:
        log.warning("%s", error)


def is_whole(name: object, checksum: object, data: object) -> bool:
    """Whether a row is what was stored: a damaged one may hold anything in any column."""
    return isinstance(name, str) and isinstance(data, bytes) and _checksum(name, data) == checksum


def _checksum(name: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(name.encode()))
