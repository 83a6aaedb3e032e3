"""A library's own labels, read for training: its passages are the documents, what people judged the grades."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ingest.errors import UsageError
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.records import digest
from rerank.training.beir import Entry, LabelledSet, make_query, read_labelled_set


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
            "Judge passages on the page, or import labels with: secondlook labels import FILE"
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
