"""A text put together from blocks, with the offsets of its headings and blocks known as it grows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.readers.source import Source
from ingest.records import Block, BlockKind, Heading

_LONGEST_COLUMN_NAME = 100
_NUMBER_OR_DATE = re.compile(r"[\d\s.,:/%€$£+−-]*\d[\d\s.,:/%€$£+−-]*")
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

    def add_row(self, cells: Sequence[str], *, first: bool, header: bool | None = None) -> None:
        """Append a row of a table, cells parted by bars; an empty cell keeps its place, an empty row is left out.

        ``first`` is of its table. ``header`` says whether the row names the columns; ``None`` where the format does not
        tell: the first row then does if it looks like it.
        """
        texts = [" ".join(cell.split()) for cell in cells]
        if not any(texts):
            return
        names = header if header is not None else first and names_columns(texts)
        self.add(
            " | ".join(texts).rstrip(),
            BlockKind.TABLE_ROW,
            separator="\n\n" if first else "\n",
            level=int(names),
        )

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def names_columns(row: Sequence[str]) -> bool:
    """Whether a table's first row names its columns: short, different words, no numbers or dates among them."""
    names = [cell.strip() for cell in row if cell.strip()]
    plausible = all(
        len(name) <= _LONGEST_COLUMN_NAME and not _NUMBER_OR_DATE.fullmatch(name) for name in names
    )
    return bool(names) and plausible and len(set(names)) == len(names)
