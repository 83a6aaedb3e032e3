"""DOCX, by python-docx: paragraphs and tables in reading order, headings by their styles."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.styles.style import BaseStyle
from docx.text.paragraph import Paragraph

from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.html import add_html, decoded_html
from ingest.readers.mail.mhtml import page_of
from ingest.readers.office.drawing import chart_lines, diagram_lines, parsed
from ingest.readers.office.package import EMBEDDED_WORD, advice, checked_package
from ingest.readers.office.rtf import add_rtf
from ingest.readers.properties import core_metadata
from ingest.readers.source import Source
from ingest.readers.titles import sensible_title
from ingest.readers.word.numbers import AutomaticNumbers
from ingest.readers.word.text import words_of
from ingest.records import NO_METADATA, BlockKind, Document, Heading

_HEADING_STYLE = re.compile(r"heading ([1-9])", re.I)
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006"
# What refers to a part that says something: the element, which of its attributes, and how the part is read.
_DRAWINGS = (
    (f"{_DRAWING}/diagram}}relIds", "dm", diagram_lines),
    (f"{_DRAWING}/chart}}chart", "id", chart_lines),
)
# Notes that are lines and spaces, which Word keeps among the others.
_NO_NOTES = frozenset(("separator", "continuationSeparator", "continuationNotice"))


def read_docx(source: Source) -> Iterator[Document]:
    """Yield the file as one document; page headers, footers, comments and deleted text are left out.

    Raises:
        UnknownFormatError: a zip archive that holds no Word document.
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
        DamagedFileError: the archive or its XML is broken.
    """
    with source.parsing("", advice(".docx")):
        word = docx.Document(io.BytesIO(checked_package(source, "a Word document", "word")))
        blocks = Blocks(source)
        body = _Body(source, word, blocks)
        core = word.core_properties if _has_properties(word) else None
        title = sensible_title(core.title) if core else ""
        metadata = core_metadata(core) if core else NO_METADATA
    title = title or body.title or _only_top_heading(blocks.headings)
    yield source.document(
        "docx", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks, metadata=metadata
    )


def _only_top_heading(headings: Sequence[Heading]) -> str:
    """The one heading of the first level: where there are several, they name parts and not the whole."""
    top = [heading.text for heading in headings if heading.level == 1]
    return top[0] if len(top) == 1 else ""


def _has_properties(word: WordDocument) -> bool:
    """Whether the file has properties of its own; python-docx makes some up, with a title, where it has none."""
    return any(
        relation.reltype == RELATIONSHIP_TYPE.CORE_PROPERTIES for relation in word.part.package.rels.values()
    )


class _Body:
    """Walks the body once. The XML is walked rather than python-docx's own lists, which pass over content
    controls, tracked insertions and text boxes."""

    def __init__(self, source: Source, word: WordDocument, blocks: Blocks) -> None:
        self.blocks = blocks
        self._source, self._word = source, word
        self._styles: dict[str, tuple[int | None, bool]] = {}
        self._numbers = AutomaticNumbers(word)
        self._notes = {
            qn("w:footnoteReference"): _notes(word, RELATIONSHIP_TYPE.FOOTNOTES),
            qn("w:endnoteReference"): _notes(word, RELATIONSHIP_TYPE.ENDNOTES),
        }
        self._in_list = False
        self.title = ""  # the first paragraph of the style Title
        self._initial = ""  # a large first letter, which has a paragraph of its own
        self._walk(word.element.body)

    def _walk(self, container: Any) -> None:
        for element in container.iterchildren():
            if element.tag == qn("w:p"):
                self._paragraph(Paragraph(element, self._word))
            elif element.tag == qn("w:tbl"):
                self._table(element)
            elif element.tag == qn("w:altChunk"):
                self._add_file(element.get(qn("r:id")))
            elif element.tag in _AROUND:
                self._walk(element)

    def _add_file(self, identity: str | None) -> None:
        """A file of another format that Word shows in this place: a page, a text, RTF, or another document."""
        part = self._word.part.related_parts.get(identity)
        if part is None:
            return
        inner = replace(self._source, content=part.blob, depth=self._source.depth + 1)
        kind = part.content_type
        if kind in ("text/html", "application/xhtml+xml"):
            add_html(self.blocks, inner, decoded_html(inner))
        elif kind in ("message/rfc822", "multipart/related"):
            add_html(self.blocks, inner, page_of(inner))
        elif kind in ("application/rtf", "text/rtf"):
            add_rtf(self.blocks, part.blob.decode("latin-1"))
        elif kind == "text/plain":
            for paragraph in re.split(r"\n[ \t]*\n", read_decoded(inner)):
                self.blocks.add(paragraph.strip("\n"))
        elif kind == EMBEDDED_WORD.decode() and inner.depth <= inner.limits.max_depth:
            data = checked_package(inner, "a Word document", "word")
            _Body(inner, docx.Document(io.BytesIO(data)), self.blocks)
        self._in_list = False

    def _add_drawings(self, paragraph: Any) -> None:
        """What the diagrams and charts in a paragraph say."""
        for tag, name, lines in _DRAWINGS:
            for reference in paragraph.iter(tag):
                part = self._word.part.related_parts.get(reference.get(qn(f"r:{name}")))
                for number, line in enumerate(lines(parsed(part.blob)) if part is not None else ()):
                    self.blocks.add(
                        f"- {line}", BlockKind.LIST_ITEM, separator="\n" if number else "\n\n", level=1
                    )

    def _paragraph(self, paragraph: Paragraph) -> None:
        element = paragraph._p
        text = self._initial + words_of(element).strip()
        self._initial = ""
        if _is_initial(element):
            self._initial = text
            return
        level, in_list = self._style(paragraph)
        number = self._number(paragraph)
        if not text:
            self._add_drawings(element)
            return
        numbered = number is not None
        if not self.title and paragraph.style is not None and paragraph.style.name == "Title":
            self.title = " ".join(text.split())
        text = f"{number} {text}" if number else text
        if level is not None:
            self.blocks.add(text, BlockKind.HEADING, level=level)
        elif in_list or numbered:
            separator = "\n" if self._in_list else "\n\n"
            self.blocks.add(
                text if number else f"- {text}", BlockKind.LIST_ITEM, separator=separator, level=1
            )
        else:
            self.blocks.add(text)
        self._in_list = level is None and (in_list or numbered)
        self._add_notes(element)
        self._add_drawings(element)

    def _number(self, paragraph: Paragraph) -> str | None:
        """What Word counts before the paragraph, “” for a mark; ``None`` where it is in no list."""
        number_id, level = None, None
        style: Any = paragraph.style
        sources = [paragraph._p.pPr]
        while style is not None and len(sources) < 20:  # styles may be based on each other in a ring
            sources.append(style.element.find(qn("w:pPr")))
            style = getattr(style, "base_style", None)
        for properties in sources:
            numbering = properties.find(qn("w:numPr")) if properties is not None else None
            if numbering is None:
                continue
            for name in ("w:numId", "w:ilvl"):
                child = numbering.find(qn(name))
                if child is None:
                    continue
                if name == "w:numId" and number_id is None:
                    number_id = child.get(qn("w:val"))
                elif name == "w:ilvl" and level is None:
                    level = child.get(qn("w:val"))
            if number_id is not None:
                break
        if number_id in (None, "0"):  # 0 takes a paragraph out of the list of its style
            return None
        return self._numbers.label(number_id, int(level) if level and level.isdigit() else 0)

    def _add_notes(self, paragraph: Any) -> None:
        """The foot- and endnotes that a paragraph refers to, each a paragraph after it."""
        for reference in paragraph.iter(*self._notes):
            note = self._notes[reference.tag].get(reference.get(qn("w:id")), "")
            self.blocks.add(f"Note: {note}" if note else "")

    def _style(self, paragraph: Paragraph) -> tuple[int | None, bool]:
        """The level of heading and whether it is a list's, by the paragraph's style and those it is based on."""
        style = paragraph.style
        key = style.style_id if style is not None else ""
        if key not in self._styles:
            self._styles[key] = _meaning(style)
        return self._styles[key]

    def _table(self, table: Any) -> None:
        """The rows as the XML has them. python-docx's own cells follow each merged one to where it begins, which fails
        for merges off the grid and takes too deep a stack for long ones."""
        above: dict[int, str] = {}  # column → the text of the cell that is merged with those below it
        first = True
        for row in _inside(table, qn("w:tr")):
            texts: list[str | None] = [None] * _row_number(row, "w:gridBefore")
            for cell in _inside(row, qn("w:tc")):
                text, column = " ".join(words_of(cell).split()), len(texts)
                merge = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
                if merge is not None and merge.get(qn("w:val")) != "restart":
                    text = text or above.get(column, "")
                elif merge is not None:
                    above[column] = text if len(text) <= LONGEST_REPEATED_CELL else ""
                texts += [text, *[None] * (_row_number(cell, "w:gridSpan", 1) - 1)]
            header = row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None
            if any(texts):
                self.blocks.add_row(texts, first=first, header=header or None)
                first = False
        self._in_list = False
        self._add_notes(table)


def _notes(word: WordDocument, kind: str) -> dict[str, str]:
    """The document's notes of this kind by their ids, each on one line."""
    part = next(
        (relation.target_part for relation in word.part.rels.values() if relation.reltype == kind), None
    )
    if part is None:
        return {}
    root = parse_xml(part.blob)
    return {
        note.get(qn("w:id")): " ".join(words_of(note).split())
        for note in root.iterchildren()
        if note.get(qn("w:type")) not in _NO_NOTES
    }


def _is_initial(paragraph: Any) -> bool:
    frame = paragraph.find(f"{qn('w:pPr')}/{qn('w:framePr')}")
    return frame is not None and frame.get(qn("w:dropCap"), "none") != "none"


# Content controls, insertions and the like, whose content counts as if they were not there.
_AROUND = frozenset(
    qn(f"w:{name}") for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")
)
_MOST_SPANNED = 63  # columns that a table of Word has


def _inside(container: Any, tag: str) -> Iterator[Any]:
    """The elements of this tag directly in ``container``, or in what only stands around them."""
    for element in container.iterchildren():
        if element.tag == tag:
            yield element
        elif element.tag in _AROUND:
            yield from _inside(element, tag)


def _row_number(element: Any, name: str, otherwise: int = 0) -> int:
    """The number in one of the properties of a row or a cell."""
    properties = element.find(qn("w:trPr" if element.tag == qn("w:tr") else "w:tcPr"))
    setting = properties.find(qn(name)) if properties is not None else None
    value = setting.get(qn("w:val"), "") if setting is not None else ""
    return min(int(value), _MOST_SPANNED) if value.isascii() and value.isdigit() else otherwise


def _meaning(style: BaseStyle | None) -> tuple[int | None, bool]:
    names: list[str] = []
    while style is not None and style.name and len(names) < 20:  # styles may be based on each other in a ring
        names.append(style.name)
        style = getattr(style, "base_style", None)
    for name in names:
        if match := _HEADING_STYLE.fullmatch(name):
            return int(match[1]), False
        if name.lower() == "title":
            return 1, False
    return None, any(name.lower().startswith("list") for name in names)
