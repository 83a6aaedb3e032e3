"""CSV and TSV: each row becomes a block of ``column: value`` lines, so that a passage explains itself."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.readers.tables import add_table
from ingest.records import Document

_DELIMITERS = ",;\t|"
# Enough rows to see what parts their cells.
_SAMPLE_LINES = 200
_SAMPLE_CHARACTERS = 65_536
# Each fault has the rest read once more; a table of more faults than this is read as it comes.
_MOST_FAULTS = 50
# What Excel writes, and reads, as the first line.
_SEPARATOR_LINE = re.compile(r"\Asep=(.)\n", re.I)

# The module refuses cells over 131,072 characters by default; here the limits of the file decide.
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def read_csv(source: Source) -> Iterator[Document]:
    """Yield the table as one document titled by its name: a block per row, empty cells left out."""
    text = read_decoded(source)
    blocks = Blocks(source)
    with source.parsing("", "open it in a spreadsheet, export it as CSV (UTF-8), and add it again."):
        declaration = _SEPARATOR_LINE.match(text)
        dialect = _dialect(text, declaration[1] if declaration else "\t" if source.suffix == ".tsv" else "")
        add_table(blocks, _rows(text[declaration.end() :] if declaration else text, dialect))
    yield source.document("csv", source.stem, blocks.text, blocks=blocks.blocks)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How cells are parted, and whether quotes within them are marked by a backslash rather than doubled."""

    delimiter: str
    backslashes: bool

    def reader(
        self, lines: Iterator[str], *, quoted: bool = True, strict: bool = True
    ) -> Iterator[list[str]]:
        """The rows of these lines. Quotes follow RFC 4180, after spaces, too; not at all unless ``quoted``."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            skipinitialspace=self.delimiter != "\t",
            doublequote=not self.backslashes,
            escapechar="\\" if self.backslashes else None,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=quoted and strict,
        )


def _dialect(text: str, delimiter: str) -> _Dialect:
    sample = [f"{line}\n" for line in text[:_SAMPLE_CHARACTERS].split("\n")[:_SAMPLE_LINES]]
    if len(sample) > 1 and len(text) > _SAMPLE_CHARACTERS:
        del sample[-1]  # which may be cut
    backslashes = '\\"' in "".join(sample)
    ranked = delimiter or max(_DELIMITERS, key=lambda each: _regularity(sample, _Dialect(each, backslashes)))
    return _Dialect(ranked, backslashes)


def _regularity(lines: Sequence[str], dialect: _Dialect) -> tuple[float, int]:
    """How well a delimiter explains the lines: the share of rows with as many cells as most, and how many those are."""
    widths = Counter(len(row) for row in _rows("".join(lines), dialect) if any(map(str.strip, row)))
    several = [(count, width) for width, count in widths.items() if width > 1]
    if not several:
        return 0.0, 0
    count, width = max(several)
    return count / widths.total(), width


def _rows(text: str, dialect: _Dialect) -> Iterator[list[str]]:
    """The rows. A quote that is never closed stands for itself, and costs its own line only."""
    lines = [
        f"{line}\n" for line in text.removesuffix("\n").split("\n")
    ]  # no other sign ends a line of a table
    position = faults = 0
    while position < len(lines):
        if faults > _MOST_FAULTS:
            yield from dialect.reader(iter(lines[position:]), strict=False)
            return
        read = position
        reader = dialect.reader(iter(lines[position:]))
        try:
            for row in reader:
                yield row
                read = position + reader.line_num  # type: ignore[attr-defined]
            return
        except csv.Error:
            # Something after a closing quote, or no closing quote at all: the line is taken as it stands.
            yield from dialect.reader(iter(lines[read : read + 1]), quoted=False)
            position, faults = read + 1, faults + 1
