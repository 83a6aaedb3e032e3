"""Labelled folders in BEIR's layout, read for training: corpus.jsonl, queries.jsonl, qrels/<split>.tsv.

A file ``hard-negatives.tsv`` beside them (query-id, corpus-id, with tabs between) names documents that do not
answer a query, as public training sets give them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ingest.errors import DamagedFileError, UsageError
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.notices import Help, Remedy
from ingest.records import digest, passage_of
from rerank.judged.beir import CORPUS, QRELS, QUERIES, read_judgements, read_rows, table_lines

HARD_NEGATIVES = "hard-negatives.tsv"


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a labelled folder."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its graded documents: ``{document id: grade ≥ 1}``; never without any.

    ``not_relevant`` holds documents that somebody judged, and found not relevant.
    """

    id: str
    text: str
    grades: dict[str, int]
    not_relevant: tuple[str, ...] = ()


def make_query(name: str, text: str, judged: Mapping[str, int]) -> Query:
    """The query with all its judgements, ``{document id: grade}``: grades below 1 say “not relevant”."""
    grades = {document: grade for document, grade in judged.items() if grade >= 1}
    return Query(name, text, grades, tuple(document for document in judged if document not in grades))


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """One folder: its documents by id and its queries in file order. ``licence`` is "" where unsaid."""

    name: str
    documents: dict[str, Entry]
    queries: tuple[Query, ...]
    sha256: str
    licence: str = ""


def read_labelled_set(folder: Path) -> LabelledSet:
    """Read ``folder``; all files of ``qrels/`` count together, and ``hard-negatives.tsv`` as judged not relevant.

    Raises ``UsageError`` where the folder is not in BEIR's layout or has no usable query, and
    ``DamagedFileError`` where a line cannot be parsed.
    """
    corpus, queries, qrels = folder / CORPUS, folder / QUERIES, folder / QRELS
    if not (corpus.is_file() and queries.is_file() and qrels.is_dir()):
        raise UsageError(
            f"{folder} is not a labelled set: it needs corpus.jsonl, queries.jsonl and a folder qrels "
            "with at least one .tsv file (BEIR's layout)."
        )
    documents = {row["_id"]: Entry(row["title"], row["text"]) for row in read_rows(corpus)}
    judged: dict[str, dict[str, int]] = {}
    for query_id, document, grade in chain.from_iterable(map(read_judgements, _tables(qrels))):
        if document in documents:
            judged.setdefault(query_id, {})[document] = grade
    for query_id, document in _read_hard_negatives(folder / HARD_NEGATIVES):
        if document in documents:
            judged.setdefault(query_id, {}).setdefault(document, 0)
    candidates = (
        make_query(row["_id"], row["text"], judged.get(row["_id"], {})) for row in read_rows(queries)
    )
    usable = tuple(query for query in candidates if query.grades)
    if not usable:
        raise UsageError(
            f"{folder} has no query with a relevant document of its corpus, so nothing can be learnt."
        )
    return LabelledSet(folder.name, documents, usable, _hash_files(folder), _licence(folder))


def _tables(qrels: Path) -> list[Path]:
    """The tables of judgements, in a fixed order; no pipe, which would be waited for."""
    return sorted(table for table in qrels.glob("*.tsv") if table.is_file())


def _read_hard_negatives(path: Path) -> Iterator[tuple[str, str]]:
    """Query id and document id of each row of the file; none where there is no such file."""
    if not path.is_file():
        return
    for number, line in table_lines(path):
        columns = line.split("\t")
        if len(columns) < 2:
            raise DamagedFileError(
                f"Line {number} of {path} is not 'query-id, corpus-id' with a tab between."
            )
        yield columns[0], columns[1]


def _hash_files(folder: Path) -> str:
    """SHA-256 over the bytes of the folder's files, in a fixed order."""
    state = hashlib.sha256()
    hard_negatives = folder / HARD_NEGATIVES
    for path in (
        folder / CORPUS,
        folder / QUERIES,
        *_tables(folder / QRELS),
        *([hard_negatives] if hard_negatives.is_file() else []),
    ):
        state.update(path.read_bytes())
    return state.hexdigest()


def _licence(folder: Path) -> str:
    """What ``source.json`` beside the corpus says the licence is; "" without such a file."""
    path = folder / "source.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("licence", "")) if path.is_file() else ""


def read_training_set(folder: Path) -> LabelledSet:
    """The labels of a library where ``folder`` is one, else a labelled folder in BEIR's layout.

    Raises ``UsageError`` and ``DamagedFileError`` as `read_library_labels` and `read_labelled_set` do.
    """
    return read_library_labels(folder) if Library.exists(folder) else read_labelled_set(folder)


def read_library_labels(folder: Path) -> LabelledSet:
    """The library in ``folder`` as a labelled set: passages by their hash, and queries with a relevant passage.

    Passages judged relevant or partly so are positives, and those judged not relevant are hard negatives beside the
    mined ones. The library's other passages are there to be mined; a judged one that was cut otherwise since is there
    by the text that its label kept. Raises `LibraryNotFoundError`, and ``UsageError`` where no passage with a text is
    judged relevant.
    """
    library = Library(folder)
    labels = [label for label in Labels(library).all() if label.passage is not None]
    documents = {
        label.passage_hash: Entry(
            label.passage.title, passage_of("", label.passage.text, label.passage.context)
        )
        for label in labels
        if label.passage
    }
    documents |= _passages(library)
    judged: dict[str, dict[str, int]] = {}
    for label in labels:
        judged.setdefault(label.query, {})[label.passage_hash] = int(label.grade)
    judged_queries = (make_query(digest(text)[:12], text, grades) for text, grades in judged.items())
    queries = tuple(query for query in judged_queries if query.grades)
    if not queries:
        raise UsageError(
            f"No passage of the library {folder} is judged relevant, so nothing can be learnt from its labels. "
            "Judge passages.",
            Help(Remedy.JUDGE),
        )
    return LabelledSet(folder.resolve().name, documents, queries, _hash(documents, judged))


def _passages(library: Library) -> dict[str, Entry]:
    """Every passage of the active generation by its hash, without repeats."""
    with library.connection() as db:
        rows = db.execute(
            "SELECT c.passage_hash, c.title, c.text FROM chunks AS c JOIN documents AS d ON d.number = c.document "
            "WHERE d.born <= (SELECT coalesce(max(id), 0) FROM generations) ORDER BY c.id"
        )
        return {row["passage_hash"]: Entry(row["title"], row["text"]) for row in rows}


def _hash(documents: Mapping[str, Entry], judged: Mapping[str, Mapping[str, int]]) -> str:
    """SHA-256 of what training sees of it, so that two runs can be told apart."""
    return digest(*sorted(documents), json.dumps(judged, sort_keys=True))
