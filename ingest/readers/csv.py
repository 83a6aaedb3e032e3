"""CSV and TSV: each row becomes a block of ``column: value`` lines, so that a passage explains itself."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterator, Sequence

from ingest.readers.blocks import Blocks, names_columns
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import Document

_DELIMITERS = ",;\t|"
# Enough for the sniffer to see a pattern; its patterns take quadratic time on more.
_SAMPLE_CHARACTERS = 16_384

# The module refuses cells over 131,072 characters by default; here the limits of the file decide.
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def read_csv(source: Source) -> Iterator[Document]:
    """Yield the table as one document titled by its name: a block per row, empty cells left out."""
    text = read_decoded(source)
    blocks = Blocks(source)
    with source.parsing("", "open it in a spreadsheet, export it as CSV (UTF-8), and add it again."):
        rows = (row for row in _rows(text, source.suffix == ".tsv") if any(map(str.strip, row)))
        first_two = list(itertools.islice(rows, 2))
        names: list[str] = []
        if len(first_two) == 2 and names_columns(first_two[0]):  # names alone would be a table without rows
            names = [name.strip() for name in first_two.pop(0)]
        for row in itertools.chain(first_two, rows):
            blocks.add(_block(names, row))
    yield source.document("csv", source.stem, blocks.text, blocks=blocks.blocks)


def _rows(text: str, tabs: bool) -> Iterator[list[str]]:
    """The rows. Quotes and doubled quotes follow RFC 4180; only the delimiter is guessed."""
    delimiter = "\t" if tabs else _delimiter(text)
    return csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)


def _delimiter(text: str) -> str:
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    try:
        return csv.Sniffer().sniff(sample, delimiters=_DELIMITERS).delimiter
    except csv.Error:  # a single column, or too irregular to tell: the comma is what the name promises
        return ","


def _block(names: Sequence[str], row: Sequence[str]) -> str:
    """A row as lines. A blank line inside a cell would look like the end of the row, so it becomes a line end."""
    lines = []
    for place, cell in enumerate(row):
        value = re.sub(r"\n\s*\n", "\n", cell.strip())
        if value:
            name = names[place] if place < len(names) else ""
            lines.append(f"{name or f'column {place + 1}'}: {value}")
    return "\n".join(lines)
