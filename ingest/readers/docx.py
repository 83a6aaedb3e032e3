"""DOCX, by python-docx: paragraphs and tables in reading order, headings by their styles."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.oxml.ns import qn
from docx.styles.style import BaseStyle
from docx.text.paragraph import Paragraph

from ingest.errors import DamagedFileError, TooLargeError, UnknownFormatError
from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.readers.source import Source, format_size
from ingest.readers.titles import sensible_title
from ingest.records import BlockKind, Document

_ADVICE = "open it in Word or LibreOffice, save it again as .docx, and add that."
# Deflate packs at most 1,032 to 1. The XML of real documents packs 5 to 50 to 1, so 200 is no document.
_LARGEST_RATIO = 200
# A small part may pack well by chance; only what unpacks beyond this is held to the ratio.
_RATIO_APPLIES_FROM = 10_000_000
_PIECE = 1_048_576
_OTHER_OFFICE = {"xl": "an Excel workbook; export it as CSV", "ppt": "a PowerPoint file; export it as PDF"}

_HEADING_STYLE = re.compile(r"heading ([1-9])", re.I)
# Not the document's words: properties, deleted text, field codes, and the copy of a text box for old Words.
_SKIPPED = frozenset(
    (*(qn(f"w:{name}") for name in ("pPr", "rPr", "del", "moveFrom", "instrText", "delText")),
     "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
)  # fmt: skip
_CHARACTERS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
    qn("w:p"): "\n",
}


def read_docx(source: Source) -> Iterator[Document]:
    """Yield the file as one document; page headers, footers, comments and deleted text are left out.

    Raises:
        UnknownFormatError: a zip archive that holds no Word document.
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
        DamagedFileError: the archive or its XML is broken.
    """
    data = source.data()
    with source.parsing("", _ADVICE):
        _check_archive(source, data)
        word = docx.Document(io.BytesIO(data))
        blocks = _Body(source, word).blocks
        title = sensible_title(word.core_properties.title)
    title = title or next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document("docx", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks)


def _check_archive(source: Source, data: bytes) -> None:
    """Check names and sizes, first as the archive declares them, then as they are, before any XML is parsed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        _check_kind(source, names)
        _check_unpacked(source, sum(entry.file_size for entry in entries), len(data))
        unpacked = 0
        for entry in entries:
            with archive.open(entry) as part:
                while piece := part.read(_PIECE):
                    unpacked += len(piece)
                    _check_unpacked(source, unpacked, len(data))


def _check_kind(source: Source, names: set[str]) -> None:
    if "[Content_Types].xml" not in names:
        raise UnknownFormatError(
            f"{source.name} is a ZIP archive without a Word document in it; unpack it and add the files themselves."
        )
    folders = {name.partition("/")[0] for name in names}
    if "word" in folders:
        return
    for folder, kind in _OTHER_OFFICE.items():
        if folder in folders:
            raise UnknownFormatError(f"{source.name} is named like DOCX but is {kind} and add that.")
    raise DamagedFileError(f"{source.name} has lost its main part (word/document.xml); {_ADVICE}")


def _check_unpacked(source: Source, unpacked: int, packed: int) -> None:
    source.check_bytes(unpacked, source.limits.max_unpacked_bytes, f"{source.name}, unpacked,")
    if unpacked > _RATIO_APPLIES_FROM and unpacked > _LARGEST_RATIO * packed:
        raise TooLargeError(
            f"{source.name} unpacks from {format_size(packed)} to {format_size(unpacked)} or more, as no document "
            f"does (the limit is {_LARGEST_RATIO} to 1); save it again from the program that made it."
        )


class _Body:
    """Walks the body once. The XML is walked rather than python-docx's own lists, which pass over content
    controls, tracked insertions and text boxes."""

    def __init__(self, source: Source, word: WordDocument) -> None:
        self.blocks = Blocks(source)
        self._word = word
        self._styles: dict[str, tuple[int | None, bool]] = {}
        self._in_list = False
        self._walk(word.element.body)

    def _walk(self, container: Any) -> None:
        for element in container.iterchildren():
            if element.tag == qn("w:p"):
                self._paragraph(Paragraph(element, self._word))
            elif element.tag == qn("w:tbl"):
                self._table(element)
            elif element.tag in _AROUND:
                self._walk(element)

    def _paragraph(self, paragraph: Paragraph) -> None:
        text = _text_of(paragraph._p).strip()
        if not text:
            return
        level, in_list = self._style(paragraph)
        properties = paragraph._p.pPr
        numbered = properties is not None and properties.numPr is not None
        if level is not None:
            self.blocks.add(text, BlockKind.HEADING, level=level)
        elif in_list or numbered:
            self.blocks.add(
                f"- {text}", BlockKind.LIST_ITEM, separator="\n" if self._in_list else "\n\n", level=1
            )
        else:
            self.blocks.add(text)
        self._in_list = level is None and (in_list or numbered)

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
            texts: list[str] = [""] * _row_number(row, "w:gridBefore")
            for cell in _inside(row, qn("w:tc")):
                text, column = " ".join(_text_of(cell).split()), len(texts)
                merge = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
                if merge is not None and merge.get(qn("w:val")) != "restart":
                    text = text or above.get(column, "")
                elif merge is not None:
                    above[column] = text if len(text) <= LONGEST_REPEATED_CELL else ""
                texts += [text, *[""] * (_row_number(cell, "w:gridSpan", 1) - 1)]
            header = row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None
            if any(texts):
                self.blocks.add_row(texts, first=first, header=header or None)
                first = False
        self._in_list = False


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
    found = properties.find(qn(name)) if properties is not None else None
    value = found.get(qn("w:val"), "") if found is not None else ""
    return min(int(value), _MOST_SPANNED) if value.isascii() and value.isdigit() else otherwise


def _meaning(style: BaseStyle | None) -> tuple[int | None, bool]:
    names: list[str] = []
    while style is not None and style.name and len(names) < 20:  # styles may be based on each other in a ring
        names.append(style.name)
        style = getattr(style, "base_style", None)
    for name in names:
        if found := _HEADING_STYLE.fullmatch(name):
            return int(found[1]), False
        if name.lower() == "title":
            return 1, False
    return None, any(name.lower().startswith("list") for name in names)


def _text_of(element: Any) -> str:
    """The words under ``element`` in order, inserted text and text boxes among them."""
    pieces: list[str] = []
    stack = [element.iterchildren()]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif child.tag == qn("w:t"):
            pieces.append(child.text or "")
        elif child.tag not in _SKIPPED:
            pieces.append(_CHARACTERS.get(child.tag, ""))
            stack.append(child.iterchildren())
    return "".join(pieces)
