"""ODP: a presentation of LibreOffice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.readers.blocks import Blocks
from ingest.readers.office.opendocument import DRAW, PRESENTATION, OpenDocument, TextWalk
from ingest.readers.office.package import advice
from ingest.readers.office.pages import Pages
from ingest.readers.source import Source
from ingest.records import BlockKind, Document

_FURNITURE = frozenset(("date-time", "footer", "page-number", "header"))


def read_odp(source: Source) -> Iterator[Document]:
    """Yield the presentation as one document, a page a slide, as `read_pptx`. Raises as `OpenDocument`."""
    with source.parsing("", advice(".odp")):
        presentation = OpenDocument(source, "presentation")
        blocks = Blocks(source)
        pages = Pages(blocks)
        for slide in presentation.body.iterchildren(f"{DRAW}page"):
            with pages.page():
                _add_slide(blocks, slide, slide.get(f"{DRAW}style-name") in presentation.hidden)
        title = presentation.title or next((heading.text for heading in blocks.headings), "")
    yield source.document(
        "odp",
        title,
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
        pages=pages.pages,
        metadata=presentation.metadata,
    )


def _add_slide(blocks: Blocks, slide: Any, is_hidden: bool) -> None:
    walk = TextWalk(blocks)
    shapes = [shape for shape in slide.iterchildren() if isinstance(shape.tag, str)]
    title = next((shape for shape in shapes if shape.get(f"{PRESENTATION}class") == "title"), None)
    words = " ".join(" ".join(title.itertext()).split()) if title is not None else ""
    if words:
        blocks.add(f"{words} (hidden slide)" if is_hidden else words, BlockKind.HEADING, level=1)
    for shape in shapes:
        if shape is title or shape.get(f"{PRESENTATION}class") in _FURNITURE:
            continue
        if shape.tag == f"{PRESENTATION}notes":
            notes = _notes(shape)
            blocks.add(f"Notes: {notes}" if notes else "")
        else:
            walk.add(shape)


def _notes(element: Any) -> str:
    boxes = element.iter(f"{DRAW}text-box")
    return " ".join(" ".join(" ".join(box.itertext()) for box in boxes).split())
