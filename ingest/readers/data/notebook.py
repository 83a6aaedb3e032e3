"""Jupyter notebooks: Markdown cells as Markdown is read, cells of code as code, and what they printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.errors import DamagedFileError
from ingest.readers.blocks import Blocks
from ingest.readers.data.json import parsed_json
from ingest.readers.markdown import add_markdown
from ingest.readers.source import Source
from ingest.records import BlockKind, Document

# Of a longer output the beginning is enough to find it by.
_LONGEST_OUTPUT = 2_000


def read_notebook(source: Source) -> Iterator[Document]:
    """Yield the notebook as one document, titled by its first heading of the first level, else by its name.

    Raises:
        DamagedFileError: it is no JSON, or no notebook.
    """
    notebook = parsed_json(source)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        sheets = (sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict))  # before version 4
        cells = [cell for sheet in sheets for cell in sheet.get("cells", ())]
    if not isinstance(cells, list):
        raise DamagedFileError(f"{source.name} has no cells, so it is no notebook; save it again from Jupyter.")
    blocks = Blocks(source)
    for cell in cells:
        if isinstance(cell, dict):
            _add_cell(blocks, source, cell)
    title = next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document("notebook", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks)


def _add_cell(blocks: Blocks, source: Source, cell: dict[str, Any]) -> None:
    text = _joined(cell.get("source", cell.get("input")))
    kind = cell.get("cell_type")
    if kind == "markdown":
        add_markdown(blocks, source, text)
    elif kind == "heading":  # before version 4
        blocks.add(text, BlockKind.HEADING, level=_level(cell.get("level")))
    elif text.strip():
        blocks.add(text.strip("\n"), BlockKind.CODE)
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            blocks.add(_output(output).strip("\n")[:_LONGEST_OUTPUT], BlockKind.CODE)


def _level(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < 7 else 1


def _output(output: dict[str, Any]) -> str:
    """What a cell printed as text; a picture, or a page, is none, and neither is a trace."""
    data = output.get("data")
    if isinstance(data, dict):
        return _joined(data.get("text/plain"))
    return _joined(output.get("text"))


def _joined(lines: object) -> str:
    if isinstance(lines, list):
        return "".join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""
