"""Labels in and out of a library, as files that other tools read too.

DIR/queries.jsonl      {"_id", "text"} a line; the id is made from the text
DIR/corpus.jsonl       {"_id", "title", "text", "metadata"} a line: the judged passages; the id is the passage hash
DIR/qrels/labels.tsv   query-id, corpus-id, grade: BEIR's layout, for evaluations and trainings
DIR/labels.qrels       query-id, 0, passage hash, grade: TREC's form, with the labels of passages that have no text now

When a label was given stands in the metadata of its query, since qrels have no room for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.errors import DamagedFileError, UsageError
from ingest.library.label_records import Grade, Label, LabelledPassage
from ingest.library.labels import normal_query
from ingest.notices import Help, Remedy
from ingest.records import digest, passage_hash
from rerank.judged.beir import CORPUS, QRELS, QUERIES, columns_of, read_rows, table_lines

TABLE = Path(QRELS) / "labels.tsv"
TREC = "labels.qrels"
JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: queries, labels in all, and how many of them only as TREC qrels, for want of a text."""

    queries: int
    labels: int
    without_text: int


def query_id(query: str) -> str:
    """A short, stable id of a normalised query: the first 12 hex digits of its SHA-256."""
    return digest(query)[:12]


def export_labels(labels: Sequence[Label], folder: Path) -> ExportReport:
    """Write ``labels`` into ``folder``, made if absent; files of an earlier export are replaced, and no others.

    Raises `UsageError` where there are no labels, nothing can be written there, or files of these names are there that
    no export wrote: a judged set's have the same.
    """
    if not labels:
        raise UsageError("There are no labels to export. Judge passages.", Help(Remedy.JUDGE))
    by_query: dict[str, list[Label]] = {}
    for label in labels:
        by_query.setdefault(label.query, []).append(label)
    with_text = [label for label in labels if label.passage is not None]
    passages = {label.passage_hash: label.passage for label in with_text if label.passage is not None}
    table = [f"{query_id(label.query)}\t{label.passage_hash}\t{label.grade}" for label in with_text]
    files = {
        Path(QUERIES): [_query_row(query, query_labels) for query, query_labels in by_query.items()],
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
    return ExportReport(len(by_query), len(labels), len(labels) - len(with_text))


def _query_row(query: str, labels: Sequence[Label]) -> str:
    judged = {label.passage_hash: label.judged.isoformat() for label in labels}
    return _json({"_id": query_id(query), "text": query, "metadata": {JUDGED: judged}})


def _corpus_row(name: str, passage: LabelledPassage) -> str:
    place: Mapping[str, Any] = {
        "document_id": passage.document_id, "path": passage.path, "page": passage.page, "start": passage.start,
        "end": passage.end, "context": passage.context,
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


FAULTS_SHOWN = 3
MOST = 2**63  # what SQLite holds
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _SideFiles:
    """What stands beside the qrels: texts of queries, times of labels, and passages with their hash."""

    queries: Mapping[str, str]
    times: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    passages: Mapping[str, tuple[str, LabelledPassage]] = field(default_factory=dict)


def read_labels(path: Path, texts: Mapping[str, str], now: datetime) -> list[Label]:
    """The labels of a folder, or of one table of qrels (three columns with tabs, or TREC's four).

    Texts of queries come from queries.jsonl beside the table, else from ``texts`` (``{query id: text}``); passages
    from corpus.jsonl, or they are named by their hash. Labels without a time were given ``now``; of two labels of a
    passage the later one counts, the last one where they are as late. Raises `UsageError` where nothing is there to
    read, and `DamagedFileError` with the lines that cannot be taken.
    """
    base, tables = _tables(path)
    side_files = _side_files(base, texts)
    labels, faults = dict[tuple[str, str], Label](), list[str]()
    for table in tables:
        for number, line in table_lines(table):
            try:
                label = _label(line, side_files, now)
            except ValueError as error:
                faults.append(f"line {number} of {table}: {error}")
                continue
            before = labels.get((label.query, label.passage_hash))
            if before is None or before.judged <= label.judged:
                labels[label.query, label.passage_hash] = label
    if faults:
        more = len(faults) - FAULTS_SHOWN
        raise DamagedFileError(
            f"No label was imported. {'; '.join(faults[:FAULTS_SHOWN])}{f'; and {more} more' if more > 0 else ''}. "
            "Mend the file and import it again."
        )
    if not labels:
        raise UsageError(f"{path} holds no labels.")
    return list(labels.values())


def _tables(path: Path) -> tuple[Path, list[Path]]:
    """The folder with queries and corpus, and the tables of judgements to read."""
    if path.is_file():
        return (path.parent.parent if path.parent.name == QRELS else path.parent), [path]
    tables = sorted(table for table in (path / QRELS).glob("*.tsv") if table.is_file())
    tables += [path / TREC] if (path / TREC).is_file() else []
    if not tables:
        raise UsageError(
            f"{path} holds no labels: give a folder with qrels/*.tsv, {QUERIES} and {CORPUS} (BEIR's layout), or a "
            "file of TREC qrels."
        )
    return path, tables


def _side_files(base: Path, texts: Mapping[str, str]) -> _SideFiles:
    queries, times = dict(texts), dict[str, Mapping[str, str]]()
    if (base / QUERIES).is_file():
        for row in read_rows(base / QUERIES):
            queries[row["_id"]] = row["text"]
            times[row["_id"]] = _metadata(row).get(JUDGED) or {}
    passages = {}
    if (base / CORPUS).is_file():
        for row in read_rows(base / CORPUS):
            passage = _passage(row)
            passages[row["_id"]] = (passage_hash(passage.title, passage.text, passage.context), passage)
    return _SideFiles(queries, times, passages)


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _passage(row: Mapping[str, Any]) -> LabelledPassage:
    place = _metadata(row)
    page, start, end = (
        value if isinstance(value := place.get(key), int) and 0 <= value < MOST else None
        for key in ("page", "start", "end")
    )
    return LabelledPassage(
        row["title"], row["text"], str(place.get("document_id") or ""),
        str(place.get("path") or ""), page=page, start=start, end=end, context=str(place.get("context") or ""),
    )  # fmt: skip


def _label(line: str, side_files: _SideFiles, now: datetime) -> Label:
    """One row as a label. Raises ``ValueError`` with what is wrong, to be continued."""
    query, passage, grade = columns_of(line)
    if query not in side_files.queries:
        raise ValueError(f"the query “{query}” has no text in {QUERIES}")
    name, text = _named(passage, side_files)
    judged = _time(side_files.times.get(query, {}).get(passage), now)
    return Label(normal_query(side_files.queries[query]), name, _grade(grade), judged, text)


def _grade(text: str) -> Grade:
    if text not in {"0", "1", "2"}:
        *most, last = [f"{grade:d} ({grade.in_words})" for grade in Grade]
        raise ValueError(f"the grade “{text[:20]}” is none of {', '.join(most)} and {last}")
    return Grade(int(text))


def _named(passage: str, side_files: _SideFiles) -> tuple[str, LabelledPassage | None]:
    """The passage's hash, and the passage where the corpus holds it."""
    is_hash = HASH.fullmatch(passage) is not None
    if passage in side_files.passages:
        name, text = side_files.passages[passage]
        if is_hash and name != passage:
            raise ValueError(f"the passage {passage[:12]}… has another text in {CORPUS} than its hash says")
        return name, text
    if not is_hash:
        raise ValueError(f"“{passage[:60]}” is neither in {CORPUS} nor the hash of a passage")
    return passage, None


def _time(stamp: str | None, now: datetime) -> datetime:
    if stamp is None:
        return now
    try:
        moment = datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        raise ValueError(f"the time “{stamp}” of its label cannot be read") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
