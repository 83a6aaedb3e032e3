"""Records as the rows that they are stored as, and read back from them."""

from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ingest.library.files import metadata
from ingest.records import Block, BlockKind, Chunk, Document, FileReport, FileStatus, Heading, Page


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
        blocks=blocks_from_json(json.loads(row["blocks"])),
        pages_by_ocr=tuple(json.loads(row["pages_by_ocr"])),
    )


def blocks_to_json(blocks: Sequence[Block]) -> list[list[Any]]:
    """The blocks as lists of kind, start, end and level."""
    return [[block.kind, block.start, block.end, block.level] for block in blocks]


def blocks_from_json(values: Iterable[Sequence[Any]]) -> tuple[Block, ...]:
    """The blocks that `blocks_to_json` gave. Raises ``ValueError`` or ``TypeError`` where the values are none."""
    return tuple(
        Block(BlockKind(kind), operator.index(start), operator.index(end), operator.index(level))
        for kind, start, end, level in values
    )


def report_of(text: str) -> FileReport:
    """The report that was stored as this JSON text."""
    values = json.loads(text)
    values["status"] = FileStatus(values["status"])
    values["pages_without_text"] = tuple(values["pages_without_text"])
    return FileReport(**values)


def insert_document(
    db: sqlite3.Connection, source: str, born: int, document: Document, chunks: Sequence[Chunk]
) -> None:
    """Store a document from this source, and its chunks, for the generation ``born``."""
    number = db.execute(
        "INSERT INTO documents (id, born, source, key, title, path, format, content_hash, source_id, text, "
        "pages, headings, pages_without_text, chunk_count, page_count, blocks, pages_by_ocr) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            document.id, born, source, document.key, document.title, document.path,
            document.format, document.content_hash, document.source_id, document.text,
            json.dumps([[p.number, p.start, p.end] for p in document.pages]),
            json.dumps([[h.level, h.start, h.text] for h in document.headings]),
            json.dumps(document.pages_without_text), len(chunks), document.page_count,
            json.dumps(blocks_to_json(document.blocks)), json.dumps(document.pages_by_ocr),
        ),
    ).lastrowid  # fmt: skip
    metadata.insert(db, int(number or 0), source, document)
    db.executemany(
        'INSERT INTO chunks (document, start, "end", page, page_end, heading, title, context, text, '
        "passage_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number, chunk.start, chunk.end, chunk.page, chunk.page_end,
                json.dumps(chunk.heading), chunk.title, chunk.context, chunk.text, chunk.passage_hash,
            )
            for chunk in chunks
        ],
    )  # fmt: skip


def insert_report(db: sqlite3.Connection, source: str, born: int, file_hash: str, report: FileReport) -> None:
    """Store what was reported of a source, in the place of what this generation said of it before."""
    fields = asdict(report)
    del fields["unreachable"]  # what was read was reached
    db.execute(
        "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)",
        (source, born, file_hash, json.dumps(fields)),
    )
