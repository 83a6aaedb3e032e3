"""Records read back from the rows that they were stored as."""

from __future__ import annotations

import json
import sqlite3

from ingest.records import Document, FileReport, FileStatus, Heading, Page


def document_of(row: sqlite3.Row) -> Document:
    """The document that was stored as this row."""
    return Document(
        key=row["key"],
        title=row["title"],
        path=row["path"],
        format=row["format"],
        text=row["text"],
        pages=tuple(Page(*values) for values in json.loads(row["pages"])),
        headings=tuple(Heading(*values) for values in json.loads(row["headings"])),
        pages_without_text=tuple(json.loads(row["pages_without_text"])),
        source_id=row["source_id"],
    )


def report_of(stored: str) -> FileReport:
    """The report that was stored as this JSON text."""
    values = json.loads(stored)
    values["status"] = FileStatus(values["status"])
    values["pages_without_text"] = tuple(values["pages_without_text"])
    return FileReport(**values)
