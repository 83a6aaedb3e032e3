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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.errors import DamagedFileError, UsageError
from ingest.library.label_records import Grade, Label, LabelledPassage
from ingest.library.labels import normal_query
from ingest.notices import Help, Remedy
from ingest.records import digest, passage_hash
from rerank.judged.beir import read_rows

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
        raise UsageError("There are no labels to export. Judge passages.", Help(Remedy.JUDGE))
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


FAULTS_SHOWN = 3
MOST = 2**63  # what SQLite holds
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands beside the qrels: texts of queries, times of labels, and passages with their hash."""

    queries: Mapping[str, str]
    times: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    passages: Mapping[str, tuple[str, LabelledPassage]] = field(default_factory=dict)


def read_labels(path: Path, known: Mapping[str, str], now: datetime) -> list[Label]:
    """The labels of a folder, or of one table of qrels (three columns with tabs, or TREC's four).

    Texts of queries come from queries.jsonl beside the table, else from ``known`` (``{query id: text}``); passages
    from corpus.jsonl, or they are named by their hash. Labels without a time were given ``now``; of two labels of a
    passage the later one counts, the last one where they are as late. Raises `UsageError` where nothing is there to
    read, and `DamagedFileError` with the lines that cannot be taken.
    """
    base, tables = _tables(path)
    beside = _beside(base, known)
    labels, faults = dict[tuple[str, str], Label](), list[str]()
    for table in tables:
        for number, line in _lines(table):
            try:
                label = _label(line, beside, now)
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
        return (path.parent.parent if path.parent.name == "qrels" else path.parent), [path]
    tables = sorted(table for table in (path / "qrels").glob("*.tsv") if table.is_file())
    tables += [path / TREC] if (path / TREC).is_file() else []
    if not tables:
        raise UsageError(
            f"{path} holds no labels: give a folder with qrels/*.tsv, {QUERIES} and {CORPUS} (BEIR's layout), or a "
            "file of TREC qrels."
        )
    return path, tables


def _beside(base: Path, known: Mapping[str, str]) -> _Beside:
    queries, times = dict(known), dict[str, Mapping[str, str]]()
    if (base / QUERIES).is_file():
        for row in read_rows(base / QUERIES, "text"):
            queries[str(row["_id"])] = str(row["text"])
            times[str(row["_id"])] = _metadata(row).get(JUDGED) or {}
    passages = {}
    if (base / CORPUS).is_file():
        for row in read_rows(base / CORPUS, "text"):
            passage = _passage(row)
            passages[str(row["_id"])] = (passage_hash(passage.title, passage.text), passage)
    return _Beside(queries, times, passages)


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found = row.get("metadata")
    return found if isinstance(found, dict) else {}


def _passage(row: Mapping[str, Any]) -> LabelledPassage:
    place = _metadata(row)
    numbers = [
        value if isinstance(value := place.get(key), int) and 0 <= value < MOST else None
        for key in ("page", "start", "end")
    ]
    return LabelledPassage(
        str(row.get("title") or ""), str(row["text"]), str(place.get("document_id") or ""),
        str(place.get("path") or ""), *numbers,
    )  # fmt: skip


def _lines(table: Path) -> Iterator[tuple[int, str]]:
    """Lines that are neither blank nor BEIR's head, numbered from 1."""
    try:
        with table.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip() and not (number == 1 and line.startswith("query-id")):
                    yield number, line.strip()
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{table} is not in UTF-8 ({error}). Save it as UTF-8.") from error


def _label(line: str, beside: _Beside, now: datetime) -> Label:
    """One row as a label. Raises ``ValueError`` with what is wrong, to be continued."""
    query, passage, grade = _columns(line)
    if query not in beside.queries:
        raise ValueError(f"the query “{query}” has no text in {QUERIES}")
    name, text = _named(passage, beside)
    judged = _time(beside.times.get(query, {}).get(passage), now)
    return Label(normal_query(beside.queries[query]), name, grade, judged, text)


def _columns(line: str) -> tuple[str, str, Grade]:
    parts = line.split("\t") if "\t" in line else line.split()
    if len(parts) == 4:
        parts = [parts[0], *parts[2:]]  # TREC's second column is an iteration that nobody reads
    if len(parts) != 3:
        raise ValueError(f"“{line[:60]}” is neither “query, passage, grade” nor a row of TREC qrels")
    if parts[2].strip() not in {"0", "1", "2"}:
        raise ValueError(
            f"the grade “{parts[2][:20]}” is none of 0 (not relevant), 1 (partly) and 2 (relevant)"
        )
    return parts[0], parts[1], Grade(int(parts[2]))


def _named(passage: str, beside: _Beside) -> tuple[str, LabelledPassage | None]:
    """The passage's hash, and the passage where the corpus holds it."""
    is_hash = HASH.fullmatch(passage) is not None
    if passage in beside.passages:
        name, text = beside.passages[passage]
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
