"""Where judged passages stood in the orders of a pair of models, when their query was last asked of it.

The rows beside the labels of `ingest.labels`, from which the running verdict is told.
"""

from __future__ import annotations

import sqlite3

from ingest.label_records import ModelPair, Places, Sighting


def note(db: sqlite3.Connection, query: str, sighting: Sighting) -> None:
    """Keep where the judged passages of this query stood in this search.

    Places of one search never mix with an older one's: what it did not find has no place.
    """
    row = _pair_row(sighting.pair)
    db.execute(
        "INSERT OR IGNORE INTO label_pairs (encoder, encoder_revision, reranker, reranker_revision) "
        "VALUES (?, ?, ?, ?)",
        row,
    )
    (pair,) = db.execute(
        "SELECT id FROM label_pairs WHERE encoder = ? AND encoder_revision = ? AND reranker = ? "
        "AND reranker_revision = ?",
        row,
    ).fetchone()
    db.execute("DELETE FROM label_ranks WHERE pair = ? AND query = ?", (pair, query))
    judged = {
        row["passage_hash"] for row in db.execute("SELECT passage_hash FROM labels WHERE query = ?", (query,))
    }
    db.executemany(
        "INSERT INTO label_ranks VALUES (?, ?, ?, ?, ?)",
        [
            (pair, query, name, places.before, places.after)
            for name, places in sighting.places.items()
            if name in judged
        ],
    )


def pairs(db: sqlite3.Connection) -> list[ModelPair]:
    """Pairs of models whose orders of judged passages were seen, the one with most such queries first."""
    rows = db.execute(
        "SELECT p.* FROM label_pairs AS p JOIN label_ranks AS r ON r.pair = p.id "
        "GROUP BY p.id ORDER BY count(DISTINCT r.query) DESC, p.id DESC"
    )
    return [ModelPair(*tuple(row)[1:]) for row in rows]


def places(db: sqlite3.Connection, pair: ModelPair) -> dict[str, dict[str, Places]]:
    """The places of every query that was asked of this pair: ``{query: {passage hash: places}}``."""
    found: dict[str, dict[str, Places]] = {}
    for row in db.execute(
        "SELECT r.query, r.passage_hash, r.before, r.after FROM label_ranks AS r "
        "JOIN label_pairs AS p ON p.id = r.pair WHERE p.encoder = ? AND p.encoder_revision = ? "
        "AND p.reranker = ? AND p.reranker_revision = ? ORDER BY r.query, r.before",
        _pair_row(pair),
    ):
        found.setdefault(row["query"], {})[row["passage_hash"]] = Places(row["before"], row["after"])
    return found


def _pair_row(pair: ModelPair) -> tuple[str, str, str, str]:
    return pair.encoder, pair.encoder_revision, pair.reranker, pair.reranker_revision
