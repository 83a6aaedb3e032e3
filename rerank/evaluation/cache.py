"""Results of queries that were run before, kept beside the library they were asked of. Safe to delete.

A result is found again only if nothing that made it has changed: the library's generation, both models (their
specifications and their files), the number of candidates and the query's text.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from ingest.errors import LibraryError
from ingest.library import Generation
from ingest.models import ResolvedModel
from ingest.records import digest
from rerank.evaluation.records import QueryRun
from rerank.records import Models

log = logging.getLogger(__name__)

FILE = "evaluation-cache.sqlite"
# Raise it when results are made or stored otherwise, so that older ones are not used.
VERSION = "1"


class ResultCache:
    """What queries gave, by key, in a file of a library's folder. To be used in a ``with``, by one thread.

    Each result is stored as it comes, so that an evaluation which is stopped goes on where it was. A cache that
    cannot be read is begun anew.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache in ``folder``, made where there is none. Raises `LibraryError` where it cannot be."""
        self._db = _open(folder / FILE)

    def __enter__(self) -> ResultCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def get(self, key: str) -> QueryRun | None:
        """The result under ``key``, ``None`` where there is none."""
        row = self._db.execute("SELECT result FROM results WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        kept = json.loads(row[0])
        return QueryRun(tuple(kept["before"]), tuple(kept["after"]), float(kept["milliseconds"]))

    def put(self, key: str, run: QueryRun) -> None:
        """Keep a result. One that failed is not kept: it may go well next time."""
        if not run.failure:
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (key, json.dumps(asdict(run))))


def key_prefix(generation: Generation, models: Models, candidates: int) -> str:
    """What the keys of one evaluation have in common; `digest` of it and the query's text is a key."""
    index = generation.index.sha256 if generation.index else ""
    used = [_fingerprint(model) for model in (models.encoder, models.reranker) if model is not None]
    return digest(VERSION, str(generation.id), index, str(candidates), *used)


def _fingerprint(model: ResolvedModel) -> str:
    """The specification, and size and time of the files: a model trained again may keep its version."""
    files = sorted(path for path in model.folder.rglob("*") if path.is_file())
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return json.dumps([asdict(model.spec), stamps])


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or not to be written: not the file's fault
            raise LibraryError(
                f"The cache of results {path} cannot be used: {error}. Free its folder, or choose another one "
                "with --library."
            ) from error
        log.warning("the cache %s is damaged (%s); it is begun anew", path, error)
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        # A file that is damaged only further in would else fail in the middle of an evaluation.
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        db.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, result TEXT NOT NULL)")
    except BaseException:
        with closing(db):
            raise
    return db
