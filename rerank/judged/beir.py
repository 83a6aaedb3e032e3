"""The lines of judged sets' files, each checked: BEIR's JSONL, and qrels in BEIR's columns or TREC's.

What cannot be read is refused with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import DamagedFileError, UsageError
from ingest.readers.jsonl import read_entry

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
QRELS = "qrels"
MOST_GRADE = 1_000_000  # trec_eval's own measures end there


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a corpus or of queries, with ``_id``, ``title`` and ``text``, which are strings.

    Raises `UsageError` where the file cannot be read, and `DamagedFileError` with the line that is no entry.
    """
    for number, line in numbered_lines(path):
        try:
            row = read_entry(line)
            if not _encodes(row):
                raise ValueError("holds half a surrogate, which is no text that can be kept")
        except ValueError as error:
            raise DamagedFileError(f"Line {number} of {path} {error}. Mend it and try again.") from error
        yield row


def _encodes(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """``{query id: {document id: grade}}`` in the file's order, all grades.

    Raises `UsageError`, and `DamagedFileError` for a line that is no judgement or where there is none.
    """
    qrels: dict[str, dict[str, int]] = {}
    for query, document, grade in read_judgements(path):
        qrels.setdefault(query, {})[document] = grade
    if not qrels:
        raise DamagedFileError(f"{path} holds no judgements; nothing can be measured with it.")
    return qrels


def read_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Query id, document id and grade of each row, repeated ones too. Raises as `read_qrels`, but for an empty file."""
    for number, line in table_lines(path):
        try:
            query, document, text = columns_of(line)
            grade = int(text)
            if abs(grade) > MOST_GRADE:
                raise ValueError(f"the grade {grade} is beyond all others")
        except ValueError as error:
            raise DamagedFileError(
                f"Line {number} of {path} is not “query-id, corpus-id, grade” with tabs between, nor TREC's "
                f"“query-id 0 corpus-id grade”: “{line[:80]}”. Mend it and try again."
            ) from error
        yield query, document, grade


def columns_of(line: str) -> tuple[str, str, str]:
    """Query id, document id and grade of a row of BEIR's three columns or of TREC's four; else ``ValueError``."""
    columns = line.split("\t")
    if len(columns) not in (3, 4):
        columns = line.split()
    if len(columns) == 4:
        del columns[1]  # TREC's iteration, which nobody reads
    if len(columns) != 3:
        raise ValueError(f"“{line[:60]}” is neither “query, passage, grade” nor a row of TREC qrels")
    query, document, grade = columns
    return query, document, grade.strip()


def table_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a table that are neither blank nor BEIR's head, numbered from 1. Raises as `numbered_lines`."""
    for number, line in numbered_lines(path):
        if number > 1 or not line.startswith("query-id"):
            yield number, line


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, numbered from 1. Raises `UsageError`, `DamagedFileError`."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Name another file.") from error
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is not in UTF-8 ({error}). Save it as UTF-8.") from error
