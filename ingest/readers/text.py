"""Plain text. The document's text is the file's own, so offsets are places in the file."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.readers.titles import title_line
from ingest.records import Document


def read_text(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by a first line that stands alone, else by its name."""
    text = read_decoded(source)
    yield source.document("text", _title(text), text)


def _title(text: str) -> str:
    first, _, rest = text.lstrip("\n").partition("\n")
    return title_line(first) if rest.startswith("\n") else ""
