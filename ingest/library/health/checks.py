"""Is a stored row what was once stored? Pure checks: each gives what is wrong in half a sentence, or ""."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ingest.chunker import MAX_TITLE_CHARACTERS
from ingest.library.rows import document_of
from ingest.records import Document, digest
from ingest.records import passage_hash as hash_of

# The encoders give unit vectors; float32 over a few hundred dimensions keeps their length to about 1e-6.
NORM_TOLERANCE = 1e-3

# A row as it is stored, or with some of its values replaced.
Row = sqlite3.Row | Mapping[str, Any]


def document_fault(row: sqlite3.Row) -> str:
    """What is wrong with a document's row: its id is its key's hash, its content hash that of its title and text."""
    try:
        document = document_of(row)
    except (ValueError, TypeError):
        return "its pages or headings cannot be read"
    if document.id != row["id"]:
        return "its name is not what was stored"
    if document.content_hash != row["content_hash"]:
        return "its title or text is not what was stored"
    return "" if document.page_count == row["page_count"] else "its pages are not as many as were stored"


def chunks_fault(document: Document, stored: int, chunks: Sequence[sqlite3.Row]) -> str:
    """What is wrong with the passages of a whole document, of which ``stored`` were stored."""
    if len(chunks) != stored:
        return f"{len(chunks)} of its {stored} passages are there"
    if not chunks:
        return "it has no passages"
    wrong = sum(bool(chunk_fault(document, row)) for row in chunks)
    return f"{wrong} of its {stored} passages are not what its text gives" if wrong else ""


def chunk_fault(document: Document, row: Row) -> str:
    """What is wrong with a passage: characters ``[start, end)`` of the document, under the hash of title and text."""
    start, end = row["start"], row["end"]
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(document.text)):
        return "its place lies outside the text"
    if row["text"] != document.text[start:end] or row["title"] != document.title[:MAX_TITLE_CHARACTERS]:
        return "its text is not what stands at its place"
    if not _is_list_of_text(row["heading"]):
        return "its headings cannot be read"
    return "" if passage_hash(row) == row["passage_hash"] else "its checksum does not agree"


def vector_fault(raw: object, dim: int) -> str:
    """What is wrong with a stored vector of ``dim`` little-endian float32, which has the length 1."""
    if not isinstance(raw, bytes) or len(raw) != 4 * dim:
        return f"it is not {dim} numbers wide"
    # A flipped byte can make a number whose square is beyond float32.
    norm = float(np.linalg.norm(np.frombuffer(raw, dtype="<f4").astype(np.float64)))
    return "" if abs(norm - 1) <= NORM_TOLERANCE else f"its length is {norm:.3g}, not 1"


def mended_text(row: sqlite3.Row, chunks: Sequence[sqlite3.Row]) -> str | None:
    """The document's text with its whole passages put back in their places, if its checksum then agrees."""
    text = str(row["text"])
    for chunk in chunks:
        if passage_hash(chunk) == chunk["passage_hash"]:
            text = text[: chunk["start"]] + chunk["text"] + text[chunk["end"] :]
    return text if digest(row["title"], text) == row["content_hash"] else None


def passage_hash(row: Row) -> str:
    """The hash of the passage that stands in a chunk's row."""
    return hash_of(str(row["title"]), str(row["text"]))


def _is_list_of_text(stored: str) -> bool:
    try:
        found = json.loads(stored)
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(entry, str) for entry in found)


HEADER, FRAME_HEADER = 32, 24
MAGIC = 0x377F0682
MASK = 0xFFFFFFFF


def lost_commits(log: Path) -> int:
    """Commits in the log that SQLite does not reach, because a frame before or in them is damaged.

    What a process that died had not committed is not counted: its frames have no mark of a commit. A damaged head
    counts as one more. A log that was cut off between two commits looks like one that never held more.
    """
    raw = log.read_bytes() if log.is_file() else b""
    if len(raw) < HEADER:
        return 0
    magic, _, page, _, *_ = struct.unpack_from(">4I", raw)
    order = ">" if magic & 1 else "<"
    sums = _checksum(raw[: HEADER - 8], (0, 0), order)
    whole = magic | 1 == MAGIC | 1 and sums == struct.unpack_from(">2I", raw, HEADER - 8)
    salt = raw[16:24] if whole else raw[HEADER + 8 : HEADER + 16]
    lost = int(not whole)
    for start in range(HEADER, len(raw) - FRAME_HEADER - page + 1, FRAME_HEADER + page):
        head, content = (
            raw[start : start + FRAME_HEADER],
            raw[start + FRAME_HEADER : start + FRAME_HEADER + page],
        )
        if whole:
            sums = _checksum(head[:8] + content, sums, order)
            whole = head[8:16] == salt and sums == struct.unpack_from(">2I", head, 16)
        is_commit = head[8:16] == salt and head[4:8] != b"\0\0\0\0"
        lost += not whole and is_commit
    return lost


def _checksum(raw: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """SQLite's: two sums of 32 bits, each fed by the other."""
    first, second = sums
    words = struct.unpack(f"{order}{len(raw) // 4}I", raw)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & MASK
        second = (second + odd + first) & MASK
    return first, second
