"""Labels in and out of a library, as files that other tools read too.

DIR/queries.jsonl      {"_id", "text"} a line; the id is made from the text
DIR/corpus.jsonl       {"_id", "title", "text", "metadata"} a line: the judged passages; the id is the passage hash
DIR/qrels/labels.tsv   query-id, corpus-id, grade: BEIR's layout, for `secondlook evaluate` and `secondlook train`
DIR/labels.qrels       query-id, 0, passage hash, grade: TREC's form, with the labels of passages that have no text now

When a label was given stands in the metadata of its query, since qrels have no room for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.errors import UsageError
from ingest.library.label_records import Label, LabelledPassage
from ingest.records import digest

QUERIES, CORPUS = "queries.jsonl", "corpus.jsonl"
TABLE = Path("qrels") / "labels.tsv"
TREC = "labels.qrels"
JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: queries, labels in all, and how many of them only as TREC qrels, for want of a text."""

    queries: int
    labels: int
    without_text: int


def query_id(query: str) -> str:
    """A short, stable id of a normalised query: the first 12 hex digits of its SHA-256."""
    return digest(query)[:12]


def export_labels(labels: Sequence[Label], folder: Path) -> Exported:
    """Write ``labels`` into ``folder``, made if absent; files of an earlier export are replaced, and no others.

    Raises `UsageError` where there are no labels, nothing can be written there, or files of these names are there that
    no export wrote: a judged set's have the same.
    """
    if not labels:
        raise UsageError(
            "There are no labels to export. Judge passages on the page, or import labels with: secondlook labels "
            "import FILE"
        )
    by_query: dict[str, list[Label]] = {}
    for label in labels:
        by_query.setdefault(label.query, []).append(label)
    with_text = [label for label in labels if label.passage is not None]
    passages = {label.passage_hash: label.passage for label in with_text if label.passage is not None}
    table = [f"{query_id(label.query)}\t{label.passage_hash}\t{label.grade}" for label in with_text]
    files = {
        Path(QUERIES): [_query_row(query, given) for query, given in by_query.items()],
        Path(CORPUS): [_corpus_row(name, passage) for name, passage in passages.items()],
        TABLE: ["query-id\tcorpus-id\tscore", *table],
        Path(TREC): [f"{query_id(label.query)} 0 {label.passage_hash} {label.grade}" for label in labels],
    }
    theirs = [name for name in files if (folder / name).exists()]
    if theirs and not (folder / TREC).is_file():
        raise UsageError(
            f"{folder} holds a {theirs[0]} that is of no earlier export of labels, and is left as it is. Name a folder "
            "that does not exist yet."
        )
    _write(folder, files)
    return Exported(len(by_query), len(labels), len(labels) - len(with_text))


def _query_row(query: str, labels: Sequence[Label]) -> str:
    judged = {label.passage_hash: label.judged.isoformat() for label in labels}
    return _json({"_id": query_id(query), "text": query, "metadata": {JUDGED: judged}})


def _corpus_row(name: str, passage: LabelledPassage) -> str:
    place: Mapping[str, Any] = {
        "document_id": passage.document_id, "path": passage.path, "page": passage.page, "start": passage.start,
        "end": passage.end,
    }  # fmt: skip
    return _json({"_id": name, "title": passage.title, "text": passage.text, "metadata": place})


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _write(folder: Path, files: Mapping[Path, Sequence[str]]) -> None:
    try:
        for name, lines in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"The labels cannot be written to {folder}: {error.strerror}. Choose another place."
        ) from error
