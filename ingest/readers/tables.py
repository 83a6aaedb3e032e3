"""A table of data as text: each row becomes a block of ``column: value`` lines, so that a passage explains itself."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ingest.readers.blocks import Blocks, names_columns
from ingest.records import BlockKind

# Lines above the names of the columns that say what the table is; spreadsheets are exported with a few of them.
_MOST_TITLE_ROWS = 5


def add_table(blocks: Blocks, rows: Iterable[Sequence[str]]) -> None:
    """Add the rows: lines that stand above the table as captions, then a block a row, empty cells left out.

    The first row names the columns if it looks like it; else they are called by their numbers.
    """
    filled = (row for row in rows if any(map(str.strip, row)))
    head = list(itertools.islice(filled, _MOST_TITLE_ROWS + 2))
    titles = _title_rows(head)
    for row in head[:titles]:
        blocks.add(" ".join(" ".join(row).split()), BlockKind.CAPTION)
    del head[:titles]
    names: list[str] = []
    # Names alone would be a table without rows, and one that stands over nothing names no column.
    if len(head) > 1 and any(map(_both, head[0], head[1])) and names_columns(head[0], head[1]):
        names = _distinct(" ".join(name.split()) for name in head.pop(0))
    for row in itertools.chain(head, filled):
        blocks.add(row_block(names, row))


def _both(name: str, cell: str) -> bool:
    return bool(name.strip()) and bool(cell.strip())


def _title_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows stand above the table: one cell filled, where those below fill more."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    above = next((place for place, count in enumerate(filled) if count > 1), 0)
    return above if above <= _MOST_TITLE_ROWS and len(rows) > above + 1 else 0


def _distinct(names: Iterator[str]) -> list[str]:
    """The names of columns; one that comes again is numbered, so that it can be told from the first."""
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if name and seen[name] > 1 else name)
    return result


def row_block(names: Sequence[str], row: Sequence[str]) -> str:
    """A row as lines. A blank line inside a cell would look like the end of the row, so it becomes a line end."""
    lines = []
    for place, cell in enumerate(row):
        value = re.sub(r"\n\s*\n", "\n", cell.strip())
        if value:
            name = names[place] if place < len(names) else ""
            lines.append(f"{name or f'column {place + 1}'}: {value}")
    return "\n".join(lines)
