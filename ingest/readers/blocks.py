"""A text put together from blocks, with the offsets of its headings known as it grows."""

from __future__ import annotations

from ingest.readers.source import Source
from ingest.records import Heading


class Blocks:
    """Collects paragraphs, headings and rows; holds itself to the source's limit of characters."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[str] = []
        self._length = 0
        self.headings: list[Heading] = []

    def add(self, text: str, *, separator: str = "\n\n", level: int | None = None) -> None:
        """Append a block after ``separator``; with a ``level`` from 1 it is a heading, on one line.

        An empty text is left out.

        Raises:
            TooLargeError: the text grew over the limit.
        """
        if not text:
            return
        if self._parts:
            self._append(separator)
        if level is not None:
            text = " ".join(text.split())
            self.headings.append(Heading(level=level, start=self._length, text=text))
        self._append(text)
        self._source.check_characters(self._length)

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
