"""ODS: a spreadsheet of LibreOffice."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.blocks import Blocks
from ingest.readers.office.opendocument import TABLE, OpenDocument, rows_of
from ingest.readers.office.package import advice
from ingest.readers.source import Source
from ingest.readers.tables import add_table
from ingest.records import BlockKind, Document


def read_ods(source: Source) -> Iterator[Document]:
    """Yield the workbook as one document, each sheet under its name, as `read_xlsx`. Raises as `OpenDocument`."""
    with source.parsing("", advice(".ods")):
        workbook = OpenDocument(source, "spreadsheet")
        blocks = Blocks(source)
        for sheet in workbook.body.iterchildren(f"{TABLE}table"):
            rows = [[cell or "" for cell in row] for _, row in rows_of(sheet) if any(row)]
            if rows:
                hidden = " (hidden sheet)" if sheet.get(f"{TABLE}style-name") in workbook.hidden else ""
                blocks.add(f"{sheet.get(f'{TABLE}name', 'Sheet')}{hidden}", BlockKind.HEADING, level=1)
                add_table(blocks, rows)
    yield source.document(
        "ods", workbook.title, blocks.text,
        headings=blocks.headings, blocks=blocks.blocks, metadata=workbook.metadata,
    )  # fmt: skip
