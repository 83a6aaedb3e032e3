"""Slides as the pages of a document, so that a passage is cited by the number of its slide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.readers.blocks import Blocks
from ingest.records import Page


class Pages:
    """Where the pages of a text that grows begin and end; one to which nothing was added is empty."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.pages: list[Page] = []

    @contextmanager
    def page(self) -> Iterator[None]:
        """The next page: whatever blocks are added within are on it."""
        number, before = len(self.pages) + 1, len(self._blocks.blocks)
        yield
        added = self._blocks.blocks[before:]
        if added:
            self.pages.append(Page(number, added[0].start, added[-1].end))
        else:
            end = self._blocks.blocks[-1].end if self._blocks.blocks else 0
            self.pages.append(Page(number, end, end))
