"""Labelled folders in BEIR's layout, read for training: corpus.jsonl, queries.jsonl, qrels/<split>.tsv.

A file ``hard-negatives.tsv`` beside them (query-id, corpus-id, with tabs between) names documents that do not
answer a query, as public training sets give them.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import DamagedFileError, UsageError
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.notices import Help, Remedy
from ingest.records import digest
from rerank.judged.beir import read_rows

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
    """Reads ``folder``; all files of ``qrels/`` count together, and ``hard-negatives.tsv`` as judged not relevant.

    Raises ``UsageError`` where the folder is not in BEIR's layout or has no usable query, and
    ``DamagedFileError`` where a line cannot be parsed.
    """
    corpus, queries, qrels = folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels"
    if not (corpus.is_file() and queries.is_file() and qrels.is_dir()):
        raise UsageError(
            f"{folder} is not a labelled set: it needs corpus.jsonl, queries.jsonl and a folder qrels "
            "with at least one .tsv file (BEIR's layout)."
        )
    documents = {
        str(row["_id"]): Entry(str(row.get("title") or ""), str(row["text"]))
        for row in read_rows(corpus, "text")
    }
    judged = _read_judgements(_tables(qrels), documents)
    for query, names in _read_hard_negatives(folder / HARD_NEGATIVES, documents).items():
        grades = judged.setdefault(query, {})
        grades.update({name: 0 for name in names if name not in grades})
    asked = (
        make_query(str(row["_id"]), str(row["text"]), judged.get(str(row["_id"]), {}))
        for row in read_rows(queries, "text")
    )
    found = tuple(query for query in asked if query.grades)
    if not found:
        raise UsageError(
            f"{folder} has no query with a relevant document of its corpus, so nothing can be learnt."
        )
    return LabelledSet(folder.name, documents, found, _hash_files(folder), _licence(folder))


def _read_judgements(paths: list[Path], documents: dict[str, Entry]) -> dict[str, dict[str, int]]:
    """``{query id: {document id: grade}}`` of all ``paths``, for known documents only."""
    judged: dict[str, dict[str, int]] = {}
    for path in paths:
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.reader(lines, delimiter="\t"), 1):
                if not row or (number == 1 and row[0] == "query-id"):
                    continue
                try:
                    query, document, grade = row[0], row[1], int(row[2])
                except (IndexError, ValueError) as error:
                    raise DamagedFileError(
                        f"Line {number} of {path} is not 'query-id, corpus-id, score' with tabs between."
                    ) from error
                if document in documents:
                    judged.setdefault(query, {})[document] = grade
    return judged


def _tables(qrels: Path) -> list[Path]:
    """The tables of judgements, in a fixed order; no pipe, which would be waited for."""
    return sorted(table for table in qrels.glob("*.tsv") if table.is_file())


def _read_hard_negatives(path: Path, documents: dict[str, Entry]) -> dict[str, list[str]]:
    """``{query id: document ids}`` of the file, known documents only; empty where there is no such file."""
    named: dict[str, list[str]] = {}
    if not path.is_file():
        return named
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if not row or (number == 1 and row[0] == "query-id"):
                continue
            if len(row) < 2:
                raise DamagedFileError(
                    f"Line {number} of {path} is not 'query-id, corpus-id' with a tab between."
                )
            if row[1] in documents:
                named.setdefault(row[0], []).append(row[1])
    return named


def _hash_files(folder: Path) -> str:
    """SHA-256 over the bytes of the folder's files, in a fixed order."""
    state = hashlib.sha256()
    given = folder / HARD_NEGATIVES
    for path in (
        folder / "corpus.jsonl",
        folder / "queries.jsonl",
        *_tables(folder / "qrels"),
        *([given] if given.is_file() else []),
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
        label.passage_hash: Entry(label.passage.title, label.passage.text)
        for label in labels
        if label.passage
    }
    documents |= _passages(library)
    judged: dict[str, dict[str, int]] = {}
    for label in labels:
        judged.setdefault(label.query, {})[label.passage_hash] = int(label.grade)
    asked = (make_query(digest(text)[:12], text, grades) for text, grades in judged.items())
    queries = tuple(query for query in asked if query.grades)
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
