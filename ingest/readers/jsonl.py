"""JSONL in BEIR's corpus form: ``{"_id": …, "title": …, "text": …}`` on each line, one document each.

Pyserini's ``{"id": …, "contents": …}`` is read alike. The form is that of Thakur et al., "BEIR: A Heterogeneous
Benchmark for Zero-shot Evaluation of Information Retrieval Models" (2021). Such files run to gigabytes, so this one
is read line by line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from ingest.errors import DamagedFileError, EmptyFileError
from ingest.readers.source import Source
from ingest.readers.titles import clean_characters, clean_title
from ingest.records import Document

logger = logging.getLogger(__name__)

# A file of which this many lines fail, and more than it gave, is no corpus: no use to read on.
_MOST_FAULTS = 100
_FAULTS_SHOWN = 5


def read_jsonl(source: Source) -> Iterator[Document]:
    """Yield the entries that have text, in their order; the bad lines are named once all others were read.

    Raises:
        DamagedFileError: after the last good entry, with the numbers of the lines that are no entries.
        EmptyFileError: no entry has text.
    """
    source.size()
    faults: list[str] = []
    identities: set[str] = set()
    count = without_text = 0
    for number, raw in _lines(source):
        try:
            entry = read_entry(_decoded(raw))
            entry["_id"] = clean_characters(entry["_id"])
            if entry["_id"] in identities:
                raise ValueError(f"repeats the _id {entry['_id'][:80]!r}")
        except ValueError as error:
            faults.append(f"line {number} {error}")
            if len(faults) >= _MOST_FAULTS and len(faults) > count:
                break
            continue
        source.check_characters(len(entry["text"]), f", line {number},")
        identities.add(entry["_id"])
        if entry["text"].strip():
            count += 1
            yield _document(source, entry)
        else:
            without_text += 1
    _finish(source, faults, count, without_text)


def _lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1, without the byte-order mark."""
    longest = source.limits.max_bytes
    with source.open() as file:
        number = 0
        while raw := file.readline(longest + 1):
            number += 1
            source.check_bytes(len(raw), longest, f"{source.name}, line {number},")
            raw = (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).strip()
            if raw:
                yield number, raw


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not in UTF-8") from None


def read_entry(line: str) -> dict[str, Any]:
    """The object of a line, with ``_id``, ``title`` (empty where there is none) and ``text`` as strings.

    Raises:
        ValueError: the line is no entry; the message continues the sentence "line 3 …".
    """
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # a number of over 4,300 digits is a ValueError too
        raise ValueError("is not JSON") from None
    if not isinstance(entry, dict):
        raise ValueError("is not a JSON object")
    # Pyserini's names (Lin et al., 2021) where BEIR's are missing.
    identity, title = entry.get("_id", entry.get("id")), entry.get("title")
    text = entry.get("text", entry.get("contents"))
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity:
        raise ValueError("has no _id")
    if not isinstance(text, str):
        raise ValueError("has no text" if text is None else "has a text that is not a string")
    return {**entry, "_id": identity, "text": text, "title": title if isinstance(title, str) else ""}


def _document(source: Source, entry: dict[str, Any]) -> Document:
    """An entry without a title has none, as in BEIR: the file's name would say nothing about it."""
    identity = entry["_id"]
    return Document(
        key=f"{source.key}#{identity}",
        title=clean_title(entry["title"]),
        path=f"{source.name}#{identity}",
        format="jsonl",
        text=clean_characters(entry["text"].replace("\r\n", "\n").replace("\r", "\n")),
        source_id=identity,
    )


def _finish(source: Source, faults: list[str], count: int, without_text: int) -> None:
    if without_text:
        logger.info("%s: %d entries have no text and were left out", source.name, without_text)
    if faults:
        more = len(faults) - _FAULTS_SHOWN
        sentence = "; ".join(faults[:_FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise DamagedFileError(
            f"{source.name} has lines that are no entries of a BEIR corpus: {sentence}. Each line must be "
            f'{{"_id": "…", "title": "…", "text": "…"}}; mend these and add it again. '
            f"{count:,} other entries could be read."
        )
    if not count:
        raise EmptyFileError(f"{source.name} has no entry with text; nothing to index.")
