"""OpenDocument (ODT, ODS, ODP; packed or flat), by its own XML: what its readers see, in order.

The vocabulary is that of ISO/IEC 26300; odfpy, which was last released in 2020, is not needed to walk it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ingest.errors import DamagedFileError, EncryptedFileError
from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.readers.data.xml import parsed_xml
from ingest.readers.office.package import advice, opened_package
from ingest.readers.properties import properties
from ingest.readers.source import Source
from ingest.readers.titles import sensible_title
from ingest.records import BlockKind

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, DRAW, STYLE = (
    f"{{{_OASIS}{name}:1.0}}" for name in ("office", "text", "table", "drawing", "style")
)
PRESENTATION = f"{{{_OASIS}presentation:1.0}}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_TITLE = f"{_DC}title"
# What is no part of the text: comments, deleted text, and what says how things look.
_UNSEEN = frozenset((
    f"{OFFICE}annotation", f"{OFFICE}annotation-end", f"{TEXT}tracked-changes", f"{TEXT}sequence-decls",
    f"{TEXT}variable-decls", f"{TEXT}user-field-decls", f"{OFFICE}forms", f"{TEXT}table-of-content",
    f"{TEXT}index-title", f"{PRESENTATION}date-time", f"{TEXT}ruby-text",
))  # fmt: skip
# Cells and rows may say that they are repeated, up to the sheet's end.
_MOST_REPEATED_ROWS, _MOST_REPEATED = 100, 250
_MOST_COLUMNS = 2_000


class OpenDocument:
    """The body of a document, and what names it."""

    def __init__(self, source: Source, kind: str) -> None:
        """``kind`` is what the body is: text, spreadsheet or presentation.

        Raises:
            EncryptedFileError: it is behind a password.
            DamagedFileError: it has no such body.
        """
        self._source = source
        roots = _roots(source)
        bodies = (root.find(f"{OFFICE}body/{OFFICE}{kind}") for root in roots)
        body = next((body for body in bodies if body is not None), None)
        if body is None:
            raise DamagedFileError(f"{source.name} has lost its content; {advice(source.suffix)}")
        self.body = body
        titles = (title for root in roots for title in root.iter(_TITLE))
        self.title = sensible_title(next((title.text for title in titles if title.text), ""))
        self.metadata = properties(
            author=_values(roots, f"{_DC}creator") or _values(roots, f"{_META}initial-creator"),
            language=_values(roots, f"{_DC}language"),
            created=_values(roots, f"{_META}creation-date"),
            modified=_values(roots, f"{_DC}date", within=f"{OFFICE}meta"),
            tags=_values(roots, f"{_META}keyword"),
        )
        self.hidden = {
            style.get(f"{STYLE}name")
            for root in roots
            for style in root.iter(f"{STYLE}style")
            if any(each.get(f"{TABLE}display") == "false" for each in style)
            or any(each.get(f"{PRESENTATION}visibility") == "hidden" for each in style)
        }


def _values(roots: Sequence[Any], tag: str, within: str = "") -> list[str]:
    """The texts of all elements of a name, anywhere or directly within those of another."""
    elements = (element for root in roots for element in root.iter(tag))
    return [
        element.text
        for element in elements
        if element.text and (not within or element.getparent().tag == within)
    ]


def _roots(source: Source) -> list[Any]:
    data = source.data()
    if not data.startswith(b"PK"):
        return [parsed_xml(source, data, advice(source.suffix))]
    with opened_package(source, data) as archive:
        names = set(archive.namelist())
        if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise EncryptedFileError(
                f"{source.name} is protected by a password; open it in LibreOffice, save it without one, "
                "and add it again."
            )
        parts = [name for name in ("content.xml", "meta.xml", "styles.xml") if name in names]
        return [parsed_xml(source, archive.read(name), advice(source.suffix)) for name in parts]


class TextWalk:
    """Adds headings, paragraphs, lists and tables as they come in a body of text."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._in_list = False

    def add(self, container: Any, level: int = 0) -> None:
        """Add what is within an element; ``level`` is how deep a list it is in. XML nests 256 deep at most here."""
        for element in container.iterchildren():
            if not isinstance(element.tag, str) or element.tag in _UNSEEN:
                continue
            if element.tag == f"{TEXT}h":
                self._paragraph(element, BlockKind.HEADING, _number(element, f"{TEXT}outline-level", 1))
            elif element.tag == f"{TEXT}p":
                self._paragraph(element, BlockKind.LIST_ITEM if level else BlockKind.PARAGRAPH, level)
            elif element.tag == f"{TABLE}table":
                self.add_rows(element)
            elif element.tag in (f"{TEXT}list-item", f"{TEXT}list-header"):
                self.add(element, level)
            elif element.tag == f"{TEXT}list":
                self.add(element, level + 1)
                self._in_list = self._in_list and level > 0
            else:
                self.add(element, level)

    def add_rows(self, table: Any) -> None:
        """Add a table of a text, row by row."""
        first = True
        for is_header, row in rows_of(table):
            if any(row):
                self._blocks.add_row(row, first=first, header=is_header or None)
                first = False
        self._in_list = False

    def _paragraph(self, element: Any, kind: BlockKind, level: int) -> None:
        words, notes, frames = words_of(element)
        if kind is BlockKind.LIST_ITEM and words:
            words = f"- {words}"
        self._blocks.add(
            words,
            kind,
            separator="\n" if self._in_list and kind is BlockKind.LIST_ITEM else "\n\n",
            level=level,
        )
        self._in_list = kind is BlockKind.LIST_ITEM
        for note in notes:
            self._blocks.add(f"Note: {note}")
        for frame in frames:
            self.add(frame)


def words_of(element: Any) -> tuple[str, list[str], list[Any]]:
    """The words of a paragraph; the notes that it refers to; and the text boxes that hang on it."""
    pieces, notes, frames = [element.text or ""], list[str](), list[Any]()
    stack = [(element.iterchildren(), "")]
    while stack:
        children, after = stack[-1]
        child = next(children, None)
        if child is None:
            pieces.append(after)
            stack.pop()
            continue
        tail = child.tail or ""
        if not isinstance(child.tag, str) or child.tag in _UNSEEN:
            pieces.append(tail)
        elif child.tag == f"{TEXT}note":
            body = child.find(f"{TEXT}note-body")
            notes.append(" ".join(" ".join(body.itertext()).split()) if body is not None else "")
            pieces.append(tail)
        elif child.tag == f"{DRAW}text-box":
            frames.append(child)
            pieces.append(tail)
        elif child.tag == f"{TEXT}s":
            pieces.append(" " * min(_number(child, f"{TEXT}c", 1), 100) + tail)
        elif child.tag in (f"{TEXT}tab", f"{TEXT}line-break"):
            pieces.append(("\t" if child.tag.endswith("tab") else "\n") + tail)
        else:
            pieces.append(child.text or "")
            stack.append((child.iterchildren(), tail))
    lines = (
        "\t".join(" ".join(part.split()) for part in line.split("\t")) for line in "".join(pieces).split("\n")
    )
    return "\n".join(lines).strip(), [note for note in notes if note], frames


def rows_of(table: Any) -> Iterator[tuple[bool, list[str | None]]]:
    """The rows of a table, and whether each names the columns.

    A cell that reaches over columns is followed by ``None``; one that reaches over rows is repeated.
    """
    reaching: dict[int, tuple[int, str]] = {}
    for is_header, row in _rows_within(table, False):
        texts: list[str | None] = []
        covered = False
        for cell in row.iterchildren(f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
            column = len(texts)
            if column >= _MOST_COLUMNS:
                break
            if cell.tag.endswith("}covered-table-cell"):
                left, text = reaching.get(column, (0, ""))
                for number in range(min(_number(cell, f"{TABLE}number-columns-repeated", 1), _MOST_REPEATED)):
                    texts.append(text if left and not number else None)
                if left:
                    reaching[column] = left - 1, text
                covered = True
                continue
            text = cell_text(cell)
            spanned = _number(cell, f"{TABLE}number-rows-spanned", 1)
            if spanned > 1:
                reaching[column] = spanned - 1, text if len(text) <= LONGEST_REPEATED_CELL else ""
            texts += [text] * min(_number(cell, f"{TABLE}number-columns-repeated", 1), _MOST_REPEATED)
        while texts and not texts[-1] and not covered:
            texts.pop()
        repeated = _number(row, f"{TABLE}number-rows-repeated", 1) if any(texts) else 1
        for _ in range(min(repeated, _MOST_REPEATED_ROWS)):
            yield is_header, list(texts)


def _rows_within(container: Any, is_header: bool) -> Iterator[tuple[bool, Any]]:
    for element in container.iterchildren():
        if element.tag == f"{TABLE}table-row":
            yield is_header, element
        elif element.tag in (f"{TABLE}table-rows", f"{TABLE}table-row-group"):
            yield from _rows_within(element, is_header)
        elif element.tag == f"{TABLE}table-header-rows":
            yield from _rows_within(element, True)


def cell_text(cell: Any) -> str:
    """What a cell shows; a date in its own form, whatever it is shown as."""
    if cell.get(f"{OFFICE}value-type") == "date" and (value := cell.get(f"{OFFICE}date-value")):
        return str(value).removesuffix("T00:00:00").replace("T", " ")
    paragraphs = (words_of(paragraph)[0] for paragraph in cell.iter(f"{TEXT}p", f"{TEXT}h")
                  if not any(around.tag in _UNSEEN for around in paragraph.iterancestors()))  # fmt: skip
    return "\n".join(filter(None, paragraphs))


def _number(element: Any, name: str, otherwise: int) -> int:
    value = element.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 and int(value) else otherwise
