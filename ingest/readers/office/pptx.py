"""PPTX, by python-pptx: slide after slide, as pages, each under its title, with what its speaker's notes say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pptx
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PythonPptxError
from pptx.oxml.ns import qn

from ingest.errors import TooLargeError
from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.readers.office.drawing import chart_lines, diagram_lines, parsed, words_of
from ingest.readers.office.package import advice, checked_package
from ingest.readers.office.pages import Pages
from ingest.readers.properties import core_metadata
from ingest.readers.source import Source
from ingest.readers.titles import sensible_title
from ingest.records import BlockKind, Document

_TITLES = (PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE)
# The same on every slide.
_FURNITURE = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)
_DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_TABLE = "http://schemas.openxmlformats.org/drawingml/2006/table"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_ALTERNATE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"


def read_pptx(source: Source) -> Iterator[Document]:
    """Yield the presentation as one document, a page a slide; hidden slides too, which are named as such.

    Raises:
        UnknownFormatError: a ZIP archive that holds no presentation.
        TooLargeError: it unpacks to more than the limit, or has too many slides.
        DamagedFileError: the archive or its XML is broken.
    """
    with source.parsing("", advice(".pptx")):
        presentation = pptx.Presentation(io.BytesIO(checked_package(source, "a presentation", "ppt")))
        slides = presentation.slides
        if len(slides) > source.limits.max_pages:
            raise TooLargeError(
                f"{source.name} has {len(slides):,} slides, and the limit is {source.limits.max_pages:,}; split it."
            )
        blocks = Blocks(source)
        pages = Pages(blocks)
        for slide in slides:
            with pages.page():
                _add_slide(blocks, slide)
        title = sensible_title(presentation.core_properties.title)
        metadata = core_metadata(presentation.core_properties)
        title = title or next((heading.text for heading in blocks.headings), "")
    yield source.document(
        "pptx",
        title,
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
        pages=pages.pages,
        metadata=metadata,
    )


def _add_slide(blocks: Blocks, slide: Any) -> None:
    shapes = list(_shapes(slide.shapes._spTree, slide))
    hidden = slide._element.get("show") in ("0", "false")
    title = next((shape for shape in shapes if _place(shape) in _TITLES and shape.has_text_frame), None)
    words = _plain(title.text_frame.text) if title is not None else ""
    if words:
        blocks.add(f"{words} (hidden slide)" if hidden else words, BlockKind.HEADING, level=1)
    for shape in shapes:
        if shape is not title and _place(shape) not in _FURNITURE:
            _add_shape(blocks, shape, slide)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        notes = _plain(frame.text) if frame is not None else ""
        blocks.add(f"Notes: {notes}" if notes else "")


def _shapes(tree: Any, slide: Any) -> Iterator[Any]:
    """The shapes of a slide in the order in which they are stored, those of groups in the place of the group."""
    for element in tree.iterchildren():
        if element.tag == qn("p:grpSp"):
            yield from _shapes(element, slide)
        elif element.tag == f"{_ALTERNATE}AlternateContent":
            # The first form that can be read here; the others say the same for older programs.
            choices = (list(_shapes(choice, slide)) for choice in element.iterchildren())
            yield from next((shapes for shapes in choices if shapes), ())
        elif element.tag in (qn("p:sp"), qn("p:graphicFrame")):
            yield slide.shapes._shape_factory(element)


def _place(shape: Any) -> Any:
    """What a shape is for, where it is a placeholder."""
    try:
        return shape.placeholder_format.type if shape.is_placeholder else None
    except (KeyError, ValueError, AttributeError, PythonPptxError):  # of a layout that is not there
        return None


def _add_shape(blocks: Blocks, shape: Any, slide: Any) -> None:
    if shape.has_text_frame:
        _add_text(blocks, shape.text_frame)
        return
    data = shape._element.find(f".//{qn('a:graphicData')}")
    kind = data.get("uri") if data is not None else None
    if kind == _TABLE:
        _add_table(blocks, shape.table._tbl)
    elif kind == _CHART:
        part = _related(slide, data, "chart", "id")
        if part is not None:
            for number, line in enumerate(chart_lines(parsed(part.blob))):
                blocks.add(line, separator="\n" if number else "\n\n")
    elif kind == _DIAGRAM:
        part = _related(slide, data, "relIds", "dm")
        if part is not None:
            for number, line in enumerate(diagram_lines(parsed(part.blob))):
                blocks.add(f"- {line}", BlockKind.LIST_ITEM, separator="\n" if number else "\n\n", level=1)


def _add_text(blocks: Blocks, frame: Any) -> None:
    in_list = False
    for paragraph in frame.paragraphs:
        words = _plain(paragraph.text)
        if not words:
            continue
        is_item = paragraph.level > 0 or _has_mark(paragraph._p)
        separator = "\n" if in_list and is_item else "\n\n"
        blocks.add(
            f"- {words}" if is_item else words,
            BlockKind.LIST_ITEM if is_item else BlockKind.PARAGRAPH,
            separator=separator,
            level=paragraph.level + 1 if is_item else 0,
        )
        in_list = is_item


def _add_table(blocks: Blocks, table: Any) -> None:
    above: dict[int, str] = {}  # column → the text of the cell that is merged with those below it
    first = True
    for row in table.iterchildren(qn("a:tr")):
        texts: list[str | None] = []
        for column, cell in enumerate(row.iterchildren(qn("a:tc"))):
            text = words_of(cell)
            if cell.get("hMerge") in ("1", "true"):
                texts.append(None)
                continue
            if cell.get("vMerge") in ("1", "true"):
                text = text or above.get(column, "")
            elif cell.get("rowSpan", "1") != "1":
                above[column] = text if len(text) <= LONGEST_REPEATED_CELL else ""
            texts.append(text)
        if any(texts):
            blocks.add_row(texts, first=first)
            first = False


def _has_mark(paragraph: Any) -> bool:
    properties = paragraph.find(qn("a:pPr"))
    return properties is not None and any(
        properties.find(qn(f"a:{name}")) is not None for name in ("buChar", "buAutoNum", "buBlip")
    )


def _related(slide: Any, data: Any, tag: str, name: str) -> Any:
    """The part that an element of a frame refers to, ``None`` where it is not there."""
    element = next((child for child in data if child.tag.endswith(f"}}{tag}")), None)
    identity = element.get(f"{_RELATION}{name}") if element is not None else None
    try:
        return slide.part.related_part(identity) if identity else None
    except KeyError:
        return None


def _plain(text: str) -> str:
    """A paragraph's words; a line break within (a vertical tab) is a space in them."""
    return " ".join(text.split())
