"""What passes between a library's process and the one that reads files: frames of JSON, and documents in them.

JSON rather than pickle, because the reading process parses what strangers wrote: unpickling its answers would run
whatever a parser that was taken over puts into them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO, cast

from ingest.records import Block, BlockKind, Document, Heading, Metadata, Page, Unread

_LENGTH_BYTES = 8
# The text of a document is at most some 20 million characters of up to 6 bytes in JSON, with its headings beside it.
_LONGEST_FRAME = 1_000_000_000
# Characters of an author or a tag.
_LONGEST_WORD = 1_000

Message = dict[str, Any]


class BrokenFrameError(Exception):
    """What came over the wire is no frame, or holds no document."""


def send(stream: BinaryIO, message: Mapping[str, Any]) -> None:
    """Write one frame. Raises OSError where nobody reads any more."""
    # File names may hold bytes that are no UTF-8, which Python keeps as lone surrogates.
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(len(body).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """The next frame, or None where the other side has ended, be it in the middle of one.

    Raises:
        BrokenFrameError: it is longer than any frame of ours, or no JSON object.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    if length > _LONGEST_FRAME:
        raise BrokenFrameError(f"a frame of {length} bytes")
    body = stream.read(length)
    if len(head) < _LENGTH_BYTES or len(body) < length:
        return None
    try:
        message = json.loads(body.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError("a frame that is no JSON") from error
    if not isinstance(message, dict):
        raise BrokenFrameError("a frame that is no JSON object")
    return message


def to_wire(document: Document) -> Message:
    """The document as JSON can hold it."""
    return asdict(document)


def from_wire(values: Mapping[str, Any]) -> Document:
    """The document that `to_wire` gave.

    Raises:
        BrokenFrameError: the values are no document's.
    """
    try:
        document = Document(
            **{
                **values,
                "pages": tuple(Page(**page) for page in values["pages"]),
                "headings": tuple(Heading(**heading) for heading in values["headings"]),
                "metadata": metadata_from_wire(values["metadata"]),
                "pages_without_text": tuple(values["pages_without_text"]),
                "pages_by_ocr": tuple(values["pages_by_ocr"]),
                "remarks": tuple(values["remarks"]),
                "blocks": tuple(
                    Block(BlockKind(block["kind"]), block["start"], block["end"], block["level"])
                    for block in values["blocks"]
                ),
            }
        )
    except (TypeError, ValueError, KeyError) as error:
        raise BrokenFrameError("a document that is none") from error
    words = [document.key, document.title, document.path, document.format, document.text]
    words += [heading.text for heading in document.headings]
    words += document.remarks
    numbers = (
        *document.pages_without_text,
        *document.pages_by_ocr,
        *(page.number for page in document.pages),
    )
    numbers += tuple(number for block in document.blocks for number in (block.start, block.end, block.level))
    if not (
        all(isinstance(word, str) for word in words)
        and all(isinstance(number, int) for number in numbers)
        and isinstance(document.source_id, str | None)
    ):
        raise BrokenFrameError("a document whose fields are of other kinds")
    return document


def metadata_from_wire(values: Mapping[str, Any]) -> Metadata:
    """The metadata that `asdict` gave. Raises ``TypeError``, ``ValueError`` or ``KeyError`` for others."""
    metadata = Metadata(**{**values, "tags": tuple(values["tags"])})
    words = (metadata.author, metadata.language, metadata.created, metadata.modified, *metadata.tags)
    if not all(isinstance(word, str) and len(word) <= _LONGEST_WORD for word in words):
        raise ValueError
    return metadata


def unread_from_wire(values: Mapping[str, Any]) -> Unread:
    """What is not read, as it was sent.

    Raises:
        BrokenFrameError: the values are no such thing.
    """
    try:
        unread = Unread(**values)
    except TypeError as error:
        raise BrokenFrameError("an unread file that is none") from error
    if not (isinstance(unread.path, str) and isinstance(unread.reason, str)):
        raise BrokenFrameError("an unread file whose fields are of other kinds")
    return unread


def spans_from_wire(values: object, length: int) -> list[tuple[int, int]]:
    """The spans of a text of ``length`` characters, in order and apart.

    Raises:
        BrokenFrameError: the values are no such spans.
    """
    try:
        spans = [(start, end) for start, end in cast("list[list[int]]", values)]
        position = 0
        for start, end in spans:
            if not position <= start < end <= length:
                raise ValueError
            position = end
    except (TypeError, ValueError) as error:
        raise BrokenFrameError("spans that are none") from error
    return spans
