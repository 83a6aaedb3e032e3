"""Labels: what people judged of a library's passages, kept in its SQLite by query and passage hash.

A label refers to no chunk and no generation, so that it outlives every re-indexing: when a passage's text comes
back, its label is there. Beside the grade stand the passage's text and place, with which a label can be exported
though its passage was cut otherwise since. They are taken from the library's own rows, never from the caller, and go
when the document that holds them goes (the trigger ``labels_forget`` in `ingest.library.schema`): of a deleted
document only hash and grade are left. The writer's lock is for generations; a label takes SQLite's own for some
milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingest.errors import UsageError
from ingest.library.label_records import (
    Grade,
    JudgedRanks,
    Label,
    LabelCounts,
    LabelledPassage,
    MergeReport,
    ModelPair,
    Places,
)
from ingest.library.library import Library, transaction


def normal_query(query: str) -> str:
    """The query as labels know it: trimmed, with single spaces. Raises `UsageError` where nothing is left."""
    normal = " ".join(query.split())
    if not normal:
        raise UsageError("A label needs its question; this one is empty.")
    return normal


_LIVE = """
    (SELECT min(c.id) FROM chunks AS c JOIN documents AS d ON d.number = c.document
     WHERE c.passage_hash = {hash} AND d.born <= (SELECT coalesce(max(id), 0) FROM generations))
"""
_ALL = f"""
    SELECT l.query, l.passage_hash, l.grade, l.judged, c.id IS NOT NULL AS indexed,
        iif(c.id, c.title, l.title) AS title, iif(c.id, c.text, l.text) AS text,
        iif(c.id, c.context, l.context) AS context,
        iif(c.id, d.id, l.document) AS document, iif(c.id, d.path, l.path) AS path,
        iif(c.id, c.page, l.page) AS page, iif(c.id, c.start, l.start) AS start,
        iif(c.id, c."end", l."end") AS "end"
    FROM labels AS l LEFT JOIN chunks AS c ON c.id = {_LIVE.format(hash="l.passage_hash")}
    LEFT JOIN documents AS d ON d.number = c.document
"""


class Labels:
    """A library's labels. Cheap to make; threads and processes may share the library."""

    def __init__(self, library: Library, on_step: Callable[[str], None] = lambda _: None) -> None:
        """``on_step`` hears ``label written`` before, and ``label committed`` after a label is kept."""
        self.library = library
        self._on_step = on_step

    def set(
        self, query: str, passage_hash: str, grade: Grade, judged_ranks: JudgedRanks | None = None
    ) -> None:
        """Judge a passage, or judge it anew; ``judged_ranks`` is the search that showed it.

        All of it is one transaction. Raises `UsageError` for an empty query, `LibraryError` where the library
        stays locked for half a minute.
        """
        label = Label(normal_query(query), passage_hash, Grade(grade), datetime.now(UTC))
        with self.library.connection() as db:
            with transaction(db):
                _write(db, replace(label, judged=_after(db, label)))
                if judged_ranks is not None:
                    note(db, label.query, judged_ranks)
                self._on_step("label written")
            self._on_step("label committed")

    def remove(self, query: str, passage_hash: str) -> bool:
        """Take a judgement back, and where its passage stood; whether there was one."""
        with self.library.connection() as db, transaction(db):
            cursor = db.execute(
                "DELETE FROM labels WHERE query = ? AND passage_hash = ?", (normal_query(query), passage_hash)
            )
            return cursor.rowcount > 0

    def note_ranks(self, query: str, judged_ranks: JudgedRanks) -> None:
        """Note where the judged passages of a query stand now, in place of what was noted of this pair before.

        A query of which nothing is judged costs a look, and no lock.
        """
        if not self.grades(query):
            return
        with self.library.connection() as db, transaction(db):
            note(db, normal_query(query), judged_ranks)

    def merge(self, labels: Iterable[Label]) -> MergeReport:
        """Take in labels made elsewhere, all or none; of two judgements of a passage the later one stands."""
        added = changed = unchanged = 0
        with self.library.connection() as db, transaction(db):
            for label in labels:
                row = db.execute(
                    "SELECT grade, judged FROM labels WHERE query = ? AND passage_hash = ?",
                    (label.query, label.passage_hash),
                ).fetchone()
                if row is not None and row["judged"] >= _stamp(label.judged):
                    unchanged += 1
                    continue
                _write(db, label)
                added += row is None
                changed += row is not None
        return MergeReport(added, changed, unchanged)

    def grades(self, query: str) -> dict[str, Grade]:
        """The judgements of a query by passage hash."""
        with self.library.connection() as db:
            rows = db.execute(
                "SELECT passage_hash, grade FROM labels WHERE query = ?", (normal_query(query),)
            )
            return {row["passage_hash"]: Grade(row["grade"]) for row in rows}

    def judgements(self) -> dict[str, dict[str, Grade]]:
        """Every grade, ``{query: {passage hash: grade}}``, without the passages."""
        with self.library.connection() as db:
            by_query: dict[str, dict[str, Grade]] = {}
            for row in db.execute("SELECT query, passage_hash, grade FROM labels ORDER BY query, judged"):
                by_query.setdefault(row["query"], {})[row["passage_hash"]] = Grade(row["grade"])
            return by_query

    def all(self) -> list[Label]:
        """Every label by query, with the passage as it is indexed now, else as it was when judged."""
        with self.library.connection() as db:
            return [_label(row) for row in db.execute(f"{_ALL} ORDER BY l.query, l.judged")]

    def counts(self) -> LabelCounts:
        """How many labels there are."""
        labels = self.all()
        by_grade = {grade: sum(label.grade is grade for label in labels) for grade in Grade}
        lost = sum(not label.indexed for label in labels)
        return LabelCounts(len({label.query for label in labels}), len(labels), by_grade, lost)

    def pairs(self) -> list[ModelPair]:
        """Pairs of models whose orders were seen of judged passages, the one with most such queries first."""
        with self.library.connection() as db:
            return pairs(db)

    def places(self, pair: ModelPair) -> dict[str, dict[str, Places]]:
        """Where judged passages stood when their query was last asked of this pair: ``{query: {hash: places}}``."""
        with self.library.connection() as db:
            return places(db, pair)


def _stamp(moment: datetime) -> str:
    """UTC with microseconds always written, so that the order of the texts is the order of the times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _after(db: sqlite3.Connection, label: Label) -> datetime:
    """When the label was made, but never before the one that it takes the place of: a clock may be set back.

    Else an import of the earlier judgement would count as the later one.
    """
    row = db.execute(
        "SELECT judged FROM labels WHERE query = ? AND passage_hash = ?", (label.query, label.passage_hash)
    ).fetchone()
    if row is None:
        return label.judged
    return max(label.judged, datetime.fromisoformat(row["judged"]) + timedelta(microseconds=1))


def _write(db: sqlite3.Connection, label: Label) -> None:
    """Store a label with the passage that the library holds now, else with the one it brings along."""
    row = db.execute(
        'SELECT d.id, d.path, c.title, c.page, c.start, c."end", c.context, c.text FROM chunks AS c '
        f"JOIN documents AS d ON d.number = c.document WHERE c.id = {_LIVE.format(hash='?')}",
        (label.passage_hash,),
    ).fetchone()
    brought = label.passage
    if row is not None:
        place = tuple(row)
    elif brought is not None:
        place = (
            brought.document_id or None, brought.path or None, brought.title, brought.page, brought.start,
            brought.end, brought.context, brought.text,
        )  # fmt: skip
    else:
        place = (*(None,) * 6, "", None)
    # What is known of a passage's text is kept where this label knows nothing of it.
    db.execute(
        'INSERT INTO labels (query, passage_hash, grade, judged, document, path, title, page, start, "end", '
        "context, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (query, passage_hash) DO UPDATE SET "
        "grade = excluded.grade, judged = excluded.judged",
        (label.query, label.passage_hash, int(label.grade), _stamp(label.judged), *place),
    )
    if place[-1] is not None:
        db.execute(
            'UPDATE labels SET document = ?, path = ?, title = ?, page = ?, start = ?, "end" = ?, context = ?, '
            "text = ? WHERE query = ? AND passage_hash = ?",
            (*place, label.query, label.passage_hash),
        )


def _label(row: sqlite3.Row) -> Label:
    passage = None
    if row["text"] is not None:
        passage = LabelledPassage(
            row["title"] or "",
            row["text"],
            row["document"] or "",
            row["path"] or "",
            page=row["page"],
            start=row["start"],
            end=row["end"],
            context=row["context"],
        )
    return Label(
        row["query"], row["passage_hash"], Grade(row["grade"]), datetime.fromisoformat(row["judged"]), passage,
        bool(row["indexed"]),
    )  # fmt: skip


def note(db: sqlite3.Connection, query: str, judged_ranks: JudgedRanks) -> None:
    """Keep where the judged passages of this query stood in this search.

    Places of one search never mix with an older one's: what it did not find has no place.
    """
    row = _pair_row(judged_ranks.pair)
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
            for name, places in judged_ranks.places.items()
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
    by_query: dict[str, dict[str, Places]] = {}
    for row in db.execute(
        "SELECT r.query, r.passage_hash, r.before, r.after FROM label_ranks AS r "
        "JOIN label_pairs AS p ON p.id = r.pair WHERE p.encoder = ? AND p.encoder_revision = ? "
        "AND p.reranker = ? AND p.reranker_revision = ? ORDER BY r.query, r.before",
        _pair_row(pair),
    ):
        by_query.setdefault(row["query"], {})[row["passage_hash"]] = Places(row["before"], row["after"])
    return by_query


def _pair_row(pair: ModelPair) -> tuple[str, str, str, str]:
    return pair.encoder, pair.encoder_revision, pair.reranker, pair.reranker_revision
