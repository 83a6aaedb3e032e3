"""Source code and settings: the file's own text, as one block of code, titled by the file's whole name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import Block, BlockKind, Document


def read_code(source: Source) -> Iterator[Document]:
    """Yield the file as one document whose offsets are places in the file."""
    text = read_decoded(source)
    yield source.document(
        "code", PurePath(source.name).name, text, blocks=[Block(BlockKind.CODE, 0, len(text))]
    )
