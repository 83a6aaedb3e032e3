"""ODT: a text of LibreOffice."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.blocks import Blocks
from ingest.readers.office.opendocument import OpenDocument, TextWalk
from ingest.readers.office.package import advice
from ingest.readers.source import Source
from ingest.records import Document


def read_odt(source: Source) -> Iterator[Document]:
    """Yield the text as one document; comments and deleted text are left out. Raises as `OpenDocument`."""
    with source.parsing("", advice(".odt")):
        text = OpenDocument(source, "text")
        blocks = Blocks(source)
        TextWalk(blocks).add(text.body)
        top = [heading.text for heading in blocks.headings if heading.level == 1]
    yield source.document(
        "odt",
        text.title or (top[0] if len(top) == 1 else ""),
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
        metadata=text.metadata,
    )
