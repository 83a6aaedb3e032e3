"""Plain text. Where it has no pages, the document's text is the file's own, so that offsets are places in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.readers.encodings import read_decoded
from ingest.readers.furniture import without_furniture
from ingest.readers.source import Source
from ingest.readers.titles import title_line
from ingest.records import Document

# How a text for printers ends the line at the edge of a page: “[Page 7]”.
_PAGE_NUMBER = re.compile(r"\bpage \d+\W*$", re.IGNORECASE)


def read_text(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by a first line that stands alone, else by its name.

    A text for printers, with form feeds between its pages (an RFC, say), loses them and what repeats on each page.
    """
    text = read_decoded(source)
    if "\f" in text:
        text = _without_pages(text)
    yield source.document("text", _title(text), text)


def _without_pages(text: str) -> str:
    pages = [page.strip("\n") for page in text.split("\f")]
    edges = [_edges(page) for page in pages]
    # A body is one line here, and like no other: what may be taken out are lines that stand apart above and below it.
    named = [[top, "body" + "x" * number, bottom] for number, (top, _, bottom) in enumerate(edges)]
    pages_left = without_furniture([[line for line in lines if line] for lines in named])
    parts = []
    for lines, (top, body, bottom) in zip(pages_left, edges, strict=True):
        parts += [top if top in lines else "", body, bottom if bottom in lines else ""]
    return "\n\n".join(part for part in parts if part.strip())


def _edges(page: str) -> tuple[str, str, str]:
    """A page as its first line, its body and its last line; “” for one that no blank line parts from the body."""
    lines = page.split("\n")
    top = lines.pop(0) if len(lines) == 1 or not lines[1].strip() else ""
    bottom = lines.pop() if len(lines) > 1 and not lines[-2].strip() else ""
    return top, "\n".join(lines).strip("\n"), bottom


def _title(text: str) -> str:
    first, _, rest = text.lstrip("\n").partition("\n")
    is_title = rest.startswith("\n") and not _PAGE_NUMBER.search(first)
    return title_line(first) if is_title else ""
