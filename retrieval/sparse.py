"""Asking the words of the passages: a question as an FTS5 expression, and the passages of the highest BM25."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from ingest.errors import LibraryDamagedError
from ingest.library.snapshot import Snapshot
from ingest.library.word_index import UNSPACED
from ingest.notices import Help, Remedy

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
        for run in re.split(f"({UNSPACED.pattern}+)", word):
            if len(run) > 1 and UNSPACED.match(run):
                yield from (f"{one} {next_one}" for one, next_one in pairwise(run))
            elif run:
                yield run


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
    ).fetchall()
    if any(rank is None for _, rank in rows):
        raise sqlite3.DatabaseError("a score of its counts is no number")
    return [(number, -rank) for number, rank in rows]


def best_by_words(snapshot: Snapshot, query: str, limit: int) -> list[tuple[int, float]]:
    """The ``limit`` passages of the snapshot of the highest BM25: chunk ids and scores, best first; see `best`.

    Raises `LibraryDamagedError` where the index of words cannot be read.
    """
    try:
        return best(snapshot.connection, query, limit)
    except (sqlite3.DatabaseError, MemoryError) as error:
        raise LibraryDamagedError(
            f"The library's index of words cannot be read ({error}). Build it again.", Help(Remedy.REPAIR)
        ) from error
