"""A text put together from blocks, with the offsets of its headings and blocks known as it grows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.readers.source import Source
from ingest.records import Block, BlockKind, Heading

_LONGEST_COLUMN_NAME = 100
_NUMBER_OR_DATE = re.compile(r"[\d\s.,:/%€$£+−-]*\d[\d\s.,:/%€$£+−-]*")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
# A cell that spans rows is repeated in each, so that a row can be read alone; a longer one stands once.
LONGEST_REPEATED_CELL = 80


class Blocks:
    """Collects paragraphs, headings and rows; holds itself to the source's limit of characters."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[str] = []
        self._length = 0
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []

    def add(
        self,
        text: str,
        kind: BlockKind = BlockKind.PARAGRAPH,
        *,
        separator: str = "\n\n",
        level: int = 0,
    ) -> None:
        """Append a block after ``separator``; a heading is put on one line.

        An empty text is left out.

        Raises:
            TooLargeError: the text grew over the limit.
        """
        if not text:
            return
        if self._parts:
            self._append(separator)
        start = self._length
        if kind is BlockKind.HEADING:
            text = " ".join(text.split())
            self.headings.append(Heading(level=level, start=start, text=text))
        self._append(text)
        self.blocks.append(Block(kind, start, self._length, level))
        self._source.check_characters(self._length)

    def add_row(self, cells: Sequence[str | None], *, first: bool, header: bool | None = None) -> None:
        """Append a row of a table, cells parted by bars; an empty cell keeps its place, an empty row is left out.

        ``None`` is a place that a cell before it reaches over; at the end of a row it is left out.
        ``first`` is of its table. ``header`` says whether the row names the columns; ``None`` where the format does not
        tell: the first row then does if it looks like it.
        """
        last = max((place for place, cell in enumerate(cells) if cell is not None), default=-1)
        texts = [" ".join((cell or "").split()) for cell in cells[: last + 1]]
        if not any(texts):
            return
        below = not first or (bool(self.blocks) and self.blocks[-1].kind is BlockKind.CAPTION)
        names = header if header is not None else first and names_columns(texts)
        self.add(
            " | ".join(texts).rstrip(),
            BlockKind.TABLE_ROW,
            separator="\n" if below else "\n\n",
            level=int(names),
        )

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def names_columns(row: Sequence[str], below: Sequence[str] = ()) -> bool:
    """Whether a table's first row names its columns: short words, no numbers or dates among them.

    Years may be names beside words, unless the row ``below`` has years in their places, too.
    """
    cells = [cell.strip() for cell in row]
    names = [cell for cell in cells if cell]
    years = [place for place, cell in enumerate(cells) if _YEAR.fullmatch(cell)]
    are_values = any(place < len(below) and _YEAR.fullmatch(below[place].strip()) for place in years)
    words = [name for name in names if not _YEAR.fullmatch(name)]
    plausible = all(
        len(name) <= _LONGEST_COLUMN_NAME and not _NUMBER_OR_DATE.fullmatch(name) for name in words
    )
    different = len(set(names)) > len(names) // 2 or len(names) == 1
    return bool(words) and plausible and different and not are_values
