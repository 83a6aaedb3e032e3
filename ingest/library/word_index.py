"""The words of passages, for BM25: an FTS5 table in the library's own file, so that a search sees one generation of it.

It holds the passages of the active generation that have a vector, which are those that the FAISS index finds; it is
filled and emptied in the transaction that makes a generation the active one. It stores no text, only which
words stand where; and after a removal its pieces are merged into one, so that no removed word stays in the file.

Words are what FTS5's unicode61 tokenizer finds, without accents and case, stemmed for English (Porter 1980). Chinese,
Japanese and Korean are indexed by character and asked by neighbouring pairs, as there are no spaces to go by; Thai,
Lao, Khmer and Burmese, which have none either, are found only as whole runs.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence, Set

from ingest.library.vector_rows import active_encoder
from ingest.records import passage_of

# Kana, Han ideographs (with extensions and compatibility forms) and Hangul syllables.
UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]"
)


def fill(db: sqlite3.Connection) -> None:
    """Index the active generation anew. To be called in a transaction."""
    db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    _insert(db, _ACTIVE, ())


def fill_new(db: sqlite3.Connection) -> None:
    """Index the active generation where nothing is indexed yet. To be called in a transaction."""
    if db.execute("SELECT 1 FROM words_docsize LIMIT 1").fetchone() is None:
        _insert(db, _ACTIVE, ())


def add(db: sqlite3.Connection, born: int) -> None:
    """Index the passages of the documents that this generation adds. To be called in its transaction."""
    _insert(db, "d.born = ?", (born,))


def _insert(db: sqlite3.Connection, which: str, values: Sequence[object], table: str = "words") -> None:
    rows = db.execute(f"{_found(db, which)} ORDER BY c.id", values)
    db.executemany(f"INSERT INTO {table} (rowid, passage) VALUES (?, ?)", map(_entry, rows))


def _found(db: sqlite3.Connection, which: str) -> str:
    """The query for those passages that have a vector."""
    return (
        f"{_PASSAGES} WHERE {which} AND EXISTS "
        f"(SELECT 1 FROM vectors AS v WHERE v.encoder = {active_encoder(db)} AND v.passage_hash = c.passage_hash)"
    )


def remove(db: sqlite3.Connection, which: str, values: Sequence[object]) -> None:
    """Take out the passages of the documents that ``which`` selects, an SQL condition on ``documents``.

    To be called before those rows are deleted, in the same transaction: FTS5 has to be told what stood there.
    """
    rows = db.execute(
        f"{_PASSAGES} WHERE d.number IN (SELECT number FROM documents WHERE {which}) "
        "AND c.id IN (SELECT id FROM words_docsize)",
        values,
    )
    before = db.total_changes
    db.executemany("INSERT INTO words (words, rowid, passage) VALUES ('delete', ?, ?)", map(_entry, rows))
    if db.total_changes > before:
        # FTS5 only marks what is deleted; merging writes the index without it.
        db.execute("INSERT INTO words (words) VALUES ('optimize')")


_ACTIVE = "d.born <= (SELECT coalesce(max(id), 0) FROM generations)"
_PASSAGES = (
    "SELECT c.id, c.title, c.context, c.text FROM documents AS d JOIN chunks AS c ON c.document = d.number"
)


def _entry(row: sqlite3.Row) -> tuple[int, str]:
    """What is indexed of a chunk: its passage, as the models read it, unspaced scripts spaced."""
    return row["id"], _text_of(row["title"], row["context"], row["text"])


def _text_of(title: str, context: str, text: str) -> str:
    return UNSPACED.sub(r" \g<0> ", passage_of(title, text, context))


def fault(db: sqlite3.Connection, chunk_ids: Set[int]) -> str:
    """What is wrong with the index, in half a sentence, or "". ``chunk_ids`` are the chunks that it should hold.

    FTS5 checks every word and place that it has against the passages, cut into words once more. It does that only for
    an index that names its texts, and only where it may write: hence a copy in temporary tables, over a view of the
    passages. What it does not see is a word that it lists and cannot find: each is looked up, too. To be called on a
    connection that is closed afterwards.
    """
    ids = {row[0] for row in db.execute("SELECT id FROM words_docsize")}
    if ids != chunk_ids:
        return f"it holds {len(ids)} passages that are not the library's {len(chunk_ids)}"
    try:
        db.create_function("entry", 3, _text_of, deterministic=True)
        db.execute(
            "CREATE TEMP VIEW passages AS SELECT id, entry(title, context, text) AS passage "
            f"FROM ({_found(db, _ACTIVE)})"
        )
        _copy(db, "content = 'passages', content_rowid = 'id'")
        settings = [db.execute(f"SELECT * FROM {table} ORDER BY k").fetchall() for table in _CONFIGS]
        for part in _PARTS:
            db.execute(f"DELETE FROM temp.{_COPY}_{part}")
            db.execute(f"INSERT INTO temp.{_COPY}_{part} SELECT * FROM main.words_{part}")
        db.execute(f"INSERT INTO temp.{_COPY} ({_COPY}, rank) VALUES ('integrity-check', 1)")
        for name in ("listed", "sought"):
            db.execute(f"CREATE VIRTUAL TABLE temp.{name} USING fts5vocab ('temp', '{_COPY}', 'row')")
        (lost,) = db.execute(
            "SELECT count(*) FROM listed LEFT JOIN sought ON sought.term = listed.term "
            "WHERE sought.cnt IS NOT listed.cnt"
        ).fetchone()
    except (
        sqlite3.DatabaseError,
        MemoryError,
    ) as error:  # a damaged length asks for more memory than there is
        return f"it is not what the passages give ({str(error) or 'a length in it is wrong'})"
    if lost:
        return f"{lost} of its words cannot be found in it"
    ours, fresh = ([tuple(row) for row in rows] for rows in settings)
    return "" if ours == fresh else "its settings are not what was stored"


def remake(db: sqlite3.Connection) -> None:
    """Index the active generation anew, whatever is left of the index. To be called in a transaction.

    FTS5 empties no index that it cannot read, so that a new one takes its place part by part.
    """
    _copy(db, "content = ''")
    _insert(db, _ACTIVE, (), f"temp.{_COPY}")
    for part in _PARTS:
        db.execute(f"DELETE FROM main.words_{part}")
        db.execute(f"INSERT INTO main.words_{part} SELECT * FROM temp.{_COPY}_{part}")
    db.execute(f"DROP TABLE temp.{_COPY}")


# The tables in which FTS5 keeps an index, and the name of one beside it.
_PARTS = ("data", "idx", "docsize", "config")
_COPY = "words_copy"
_CONFIGS = ("main.words_config", f"temp.{_COPY}_config")


def _copy(db: sqlite3.Connection, content: str) -> None:
    """Make an index beside the library's, of the same kind but for where its texts are."""
    statement: str = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'words'").fetchone()[0]
    db.execute(statement.replace("TABLE words", f"TABLE temp.{_COPY}").replace("content = ''", content))
