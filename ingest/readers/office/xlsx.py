"""XLSX, by openpyxl: each sheet under its name, each row as lines of names and values."""

from __future__ import annotations

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import openpyxl
from openpyxl.cell.read_only import EMPTY_CELL

from ingest.errors import TooLargeError
from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.readers.office.package import advice, checked_package
from ingest.readers.properties import core_metadata
from ingest.readers.source import Source
from ingest.readers.tables import add_table
from ingest.readers.titles import sensible_title
from ingest.records import BlockKind, Document

_MOST_ROWS = 1_048_576  # of a sheet, by Excel's own limit
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_PIECE = 1_048_576
_LONGEST_MERGE = 200  # bytes of the element that says which cells are merged
_MOST_MERGED = 100_000  # cells of one sheet into which a value is repeated
_PERCENT = re.compile(r"^0(?:\.(0+))?%$")
# What Excel shows where a formula has no value.
_FAULTS = frozenset(("#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"))


def read_xlsx(source: Source) -> Iterator[Document]:
    """Yield the workbook as one document; formulas by the values that were stored, hidden sheets named as such.

    Raises:
        UnknownFormatError: a ZIP archive that holds no workbook.
        TooLargeError: it unpacks to more than the limit, or has too many sheets.
        DamagedFileError: the archive or its XML is broken.
    """
    with source.parsing("", advice(".xlsx")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it does not know, most of which is how things look
        data = checked_package(source, "an Excel workbook", "xl")
        blocks = Blocks(source)
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = workbook.worksheets
        if len(sheets) > source.limits.max_pages:
            raise TooLargeError(
                f"{source.name} has {len(sheets):,} sheets, and the limit is {source.limits.max_pages:,}; split it "
                "into smaller workbooks."
            )
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for sheet in sheets:
                _add_sheet(source, blocks, sheet, _merged(archive, sheet))
        title = sensible_title(workbook.properties.title)
        metadata = core_metadata(workbook.properties)
    yield source.document(
        "xlsx", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks, metadata=metadata
    )


def _add_sheet(
    source: Source, blocks: Blocks, sheet: Any, merged: dict[tuple[int, int], tuple[int, int]]
) -> None:
    # Under a sheet without cells stands nothing, so its name does not either.
    rows = _rows(source.name, sheet, merged)
    first = next((row for row in rows if any(row)), None)
    if first is None:
        return
    hidden = " (hidden sheet)" if sheet.sheet_state != "visible" else ""
    blocks.add(f"{sheet.title}{hidden}", BlockKind.HEADING, level=1)
    add_table(blocks, _from(first, rows))


def _from(first: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rows


def _rows(name: str, sheet: Any, merged: dict[tuple[int, int], tuple[int, int]]) -> Iterator[list[str]]:
    """The rows as texts; where cells are merged, the value of the first stands in each, so that a row reads alone."""
    sheet.reset_dimensions()  # what a sheet says of its size is often wrong
    anchors = dict.fromkeys(merged.values(), "")
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if number > _MOST_ROWS:
            raise TooLargeError(f"{name} has rows beyond the last that a sheet can have; {advice('.xlsx')}")
        texts = ["" if cell is EMPTY_CELL else _text(cell) for cell in row]
        if anchors:
            for column in range(1, len(texts) + 1):
                place = number, column
                if place in anchors:
                    text = texts[column - 1]
                    anchors[place] = text if len(text) <= LONGEST_REPEATED_CELL else ""
                elif place in merged and not texts[column - 1]:
                    texts[column - 1] = anchors[merged[place]]
        yield texts


def _text(cell: Any) -> str:  # noqa: PLR0911
    """The value as the sheet shows it, as far as that says something: dates as dates, shares in percent."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        # Excel stores days as numbers: what has no time of day is a date.
        return (
            value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
        )
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.isoformat("minutes")
    if isinstance(value, int | float):
        return _number(value, cell.number_format)
    text = str(value)
    return "" if text in _FAULTS else text.replace("_x000D_", "").replace("\r\n", "\n").replace("\r", "\n")


def _number(value: float, shape: str | None) -> str:
    if percent := _PERCENT.match(shape or ""):
        return f"{value * 100:.{len(percent[1] or '')}f}%"
    return f"{value:.15g}"  # what Excel itself keeps; more shows how numbers are stored


def _merged(archive: zipfile.ZipFile, sheet: Any) -> dict[tuple[int, int], tuple[int, int]]:
    """Which cells take the value of which, as (row, column).

    The reader that holds only one row at a time passes over them. Only the rows of one column, or the columns of one
    row, are filled: a title over the whole sheet is said once.
    """
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    with archive.open(sheet._worksheet_path) as part:
        rest = b""
        while piece := part.read(_PIECE):
            text = rest + piece
            for match in _MERGED.finditer(text):
                left, top, right, bottom = _column(match[1]), int(match[2]), _column(match[3]), int(match[4])
                if left != right:
                    continue
                for row in range(top + 1, bottom + 1):
                    if len(merged) >= _MOST_MERGED:
                        return merged
                    merged[row, left] = top, left
            rest = text[-_LONGEST_MERGE:]
    return merged


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
