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
import unicodedata
from collections.abc import Iterator, Sequence, Set
from itertools import pairwise

from ingest.stored import active_encoder

# Kana, Han ideographs (with extensions and compatibility forms) and Hangul syllables.
_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]"
)

# Lucene's English stop words, and the words that questions are made of. Without them nDCG@10 was the same or better
# on training sets (.890 against .887 with all words on SQuAD, .973 and .972 on PubMedQA, .575 and .576 on MedQuAD, 600
# questions each), and a query took a quarter to a half of the time.
# fmt: off
STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with", "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "do",
    "does", "did", "has", "have", "had", "can", "could", "should", "would", "were", "been", "being", "i",
    "you", "he", "she", "we", "me", "my", "your", "his", "her", "our", "its", "from", "than", "about", "so",
))
# fmt: on


def match_of(query: str) -> str:
    """The question as an FTS5 expression that any of its words satisfies; empty where it has none.

    Nothing of the question is syntax: only letters, digits and marks reach the expression, in quotes. Stop words are
    left out unless there is nothing else.
    """
    words = list(dict.fromkeys(_words(unicodedata.normalize("NFC", query).lower())))
    telling = [word for word in words if word not in STOP_WORDS]
    return " OR ".join(f'"{word}"' for word in telling or words)


def _words(text: str) -> Iterator[str]:
    """Runs of letters, digits and marks; of unspaced scripts, pairs of neighbouring characters."""
    letters = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in text)
    for word in letters.split():
        for run in re.split(f"({_UNSPACED.pattern}+)", word):
            if len(run) > 1 and _UNSPACED.match(run):
                yield from (f"{one} {next_one}" for one, next_one in pairwise(run))
            elif run:
                yield run


def fill(db: sqlite3.Connection) -> None:
    """Index the active generation anew. To be called in a transaction."""
    db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    _insert(db, _ACTIVE, ())


def add(db: sqlite3.Connection, born: int) -> None:
    """Index the passages of the documents that this generation adds. To be called in its transaction."""
    _insert(db, "d.born = ?", (born,))


def _insert(db: sqlite3.Connection, which: str, values: Sequence[object], table: str = "words") -> None:
    rows = db.execute(
        f"{_PASSAGES} WHERE {which} AND EXISTS "
        "(SELECT 1 FROM vectors AS v WHERE v.encoder = ? AND v.passage_hash = c.passage_hash) ORDER BY c.id",
        (*values, active_encoder(db)),
    )
    db.executemany(f"INSERT INTO {table} (rowid, passage) VALUES (?, ?)", map(_entry, rows))


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
_PASSAGES = "SELECT c.id, c.title, c.text FROM documents AS d JOIN chunks AS c ON c.document = d.number"


def _entry(row: sqlite3.Row) -> tuple[int, str]:
    """What is indexed of a chunk: its title and its text, as the models read them, unspaced scripts spaced."""
    return row["id"], _UNSPACED.sub(r" \g<0> ", f"{row['title']}\n{row['text']}")


def best(db: sqlite3.Connection, query: str, limit: int) -> list[tuple[int, float]]:
    """The ``limit`` passages of the highest BM25: chunk ids and scores above 0, best first, equals by id.

    Okapi BM25 with k1 = 1.2 and b = .75 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
    Beyond", 2009), as FTS5 computes it: a word in more than half of all passages counts as good as nothing.
    Passages without any word of the question are not found.
    """
    expression = match_of(query)
    if not expression:
        return []
    rows = db.execute(
        "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?", (expression, limit)
    )
    return [(number, -rank) for number, rank in rows]


def fault(db: sqlite3.Connection, wanted: Set[int]) -> str:
    """What is wrong with the index, in half a sentence, or "". ``wanted`` are the chunks that it should hold.

    The passages are indexed once more, in a temporary table, and how often each word stands in how many is compared.
    To be called on a connection that is closed afterwards.
    """
    held = {row[0] for row in db.execute("SELECT id FROM words_docsize")}
    if held != wanted:
        return f"it holds {len(held)} passages that are not the library's {len(wanted)}"
    made = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'words'").fetchone()[0]
    try:
        db.execute(made.replace("TABLE words", "TABLE temp.words_anew"))
        _insert(db, _ACTIVE, (), "temp.words_anew")
        for name, of in (("words_stored", "'main', 'words'"), ("words_fresh", "'temp', 'words_anew'")):
            db.execute(f"CREATE VIRTUAL TABLE temp.{name} USING fts5vocab ({of}, 'row')")
        differing = db.execute(
            "SELECT count(DISTINCT term) FROM (SELECT * FROM (SELECT * FROM words_stored EXCEPT SELECT * FROM "
            "words_fresh) UNION ALL SELECT * FROM (SELECT * FROM words_fresh EXCEPT SELECT * FROM words_stored))"
        ).fetchone()[0]
    except (
        sqlite3.DatabaseError,
        MemoryError,
    ) as error:  # a damaged length asks for more memory than there is
        return f"it cannot be read ({str(error) or 'a length in it is wrong'})"
    return f"{differing} words are not counted as the passages have them" if differing else ""
