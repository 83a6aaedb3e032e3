"""Labels read from files: a folder in BEIR's layout, or one table of qrels (see `rerank.labels.exchange`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.errors import DamagedFileError, UsageError
from ingest.library.label_records import Grade, Label, LabelledPassage
from ingest.library.labels import normal_query
from ingest.records import passage_hash
from rerank.judged.beir import read_rows
from rerank.labels.exchange import CORPUS, JUDGED, QUERIES, TREC

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
