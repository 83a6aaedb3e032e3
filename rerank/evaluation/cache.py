"""What evaluations keep beside the library, so that a second one asks no model. Safe to delete.

First looks are found again while the library's generation and the encoder are the same; scores while the
reranker is, by the question and the passage's text, whatever library it stands in. So another depth, another
fusion or another weight of the mix needs no model, and a further reranker runs alone.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ingest.errors import LibraryError
from ingest.library.snapshot import Generation
from ingest.models.spec import ResolvedModel
from ingest.notices import Help, Remedy
from ingest.records import digest
from rerank.scorers.base import Scorer
from rerank.scorers.cached import fingerprint
from retrieval.records import CandidateSource

log = logging.getLogger(__name__)

FILE = "evaluation-cache.sqlite"
# Raise the one whose entries are made or stored otherwise, so that older ones are not used. First looks of version 2
# listed as many passages as were reranked, whatever documents those were of.
LOOKS, SCORES = "3", "3"
# Several evaluations may share a library; each writes for a moment only.
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class LookEntry:
    """The first look at one query: a document id, a passage's digest and a cosine a candidate, best first.

    ``firsts`` is what each was ordered by, the cosines themselves where the look goes by vectors.
    The first ``asked`` candidates (all, in a small library) are without a gap; those after them are only the best
    passages of further documents. ``milliseconds`` is what encoding and retrieving the former took.
    """

    documents: tuple[str, ...]
    passages: tuple[str, ...]
    cosines: tuple[float, ...]
    firsts: tuple[float, ...]
    milliseconds: float
    asked: int


@dataclass(frozen=True, slots=True)
class ScoreEntry:
    """One reranker's scores for one query: ``{passage's digest: [logit, tokens]}``, and the milliseconds of all."""

    passages: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    milliseconds: float = 0.0


class EvaluationCache:
    """First looks and scores by key, in a file of a library's folder. To be used in a ``with``, by one thread.

    Each entry is stored as it comes, so that an evaluation which is stopped goes on where it was. A cache that
    cannot be read is begun anew.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache in ``folder``, made where there is none. Raises `LibraryError` where it cannot be."""
        self._db = _open(folder / FILE)

    def __enter__(self) -> EvaluationCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def look(self, key: str) -> LookEntry | None:
        """The first look under ``key``, ``None`` where there is none."""
        entry = self._get(key)
        if entry is None:
            return None
        rows = {name: tuple(entry[name]) for name in ("documents", "passages", "cosines", "firsts")}
        return LookEntry(**rows, milliseconds=float(entry["milliseconds"]), asked=int(entry["asked"]))

    def scores(self, key: str) -> ScoreEntry:
        """The scores under ``key``, no passages where there are none."""
        entry = self._get(key)
        if entry is None:
            return ScoreEntry()
        passages = {name: (float(logit), int(tokens)) for name, (logit, tokens) in entry["passages"].items()}
        return ScoreEntry(passages, float(entry["milliseconds"]))

    def put(self, key: str, entry: LookEntry | ScoreEntry) -> None:
        """Keep an entry, in place of what stood under ``key``."""
        self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, json.dumps(asdict(entry))))

    def _get(self, key: str) -> Mapping[str, Any] | None:
        row = self._db.execute("SELECT entry FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))


def look_prefix(generation: Generation, encoder: ResolvedModel, source: CandidateSource) -> str:
    """What the keys of a library's first looks have in common; `digest` of it and the query's text is a key."""
    index = generation.index.sha256 if generation.index else ""
    kind = "look" if source is CandidateSource.VECTORS else f"look by {source}"
    return digest(LOOKS, kind, str(generation.id), index, generation.mark, fingerprint(encoder))


def score_prefix(scorer: Scorer) -> str:
    """What the keys of a reranker's scores have in common; `digest` of it and the query's text is a key."""
    return digest(SCORES, "scores", fingerprint(scorer.model), scorer.engine)


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or not to be written: not the file's fault
            raise LibraryError(
                f"The cache of scores {path} cannot be used: {error}. Free its folder, or choose another "
                "one.",
                Help(Remedy.CHOOSE, subject="library"),
            ) from error
        log.warning("the cache %s is damaged (%s); it is begun anew", path, error)
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=WAIT_S)
    try:
        # A file that is damaged only further in would else fail in the middle of an evaluation.
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        db.execute("DROP TABLE IF EXISTS results")  # what version 1 kept
        db.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, entry TEXT NOT NULL)")
    except BaseException:
        with closing(db):
            raise
    return db
