"""A PDF's outline (its bookmarks) → headings at the places of their words."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pypdf import PdfReader
from pypdf.generic import Destination

from ingest.readers.titles import clean_title
from ingest.records import Heading, Page

logger = logging.getLogger(__name__)

# A book of 1,000 pages has some hundreds of entries; beyond this an outline is an index or a fault.
_MOST_ENTRIES = 5_000


def outline_headings(reader: PdfReader, text: str, pages: Sequence[Page]) -> list[Heading]:
    """The outline's entries in the order of the text; none where the outline is missing or broken.

    An entry starts where its title stands on its page, looked for at line starts first, else where the
    page starts.
    """
    try:
        entries = list(_entries(reader))
    except Exception as error:  # the outline is a help: a broken one costs headings, no more
        logger.debug("the outline cannot be read", exc_info=error)
        return []
    headings = []
    after: dict[int, int] = {}
    for level, title, number in entries:
        if title and number < len(pages):
            page = pages[number]
            start = _place(title, text, after.get(number, page.start), page)
            after[number] = start
            headings.append(Heading(level=level, start=start, text=title))
    return sorted(headings, key=lambda heading: heading.start)


def _entries(reader: PdfReader) -> Iterator[tuple[int, str, int]]:
    """Level (from 1), title and index of the page (from 0) of each entry that leads to a page."""
    stack: list[Iterator[Any]] = [iter(reader.outline)]
    count = 0
    while stack and count < _MOST_ENTRIES:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, list):
            stack.append(iter(item))
        elif isinstance(item, Destination):
            count += 1
            number = reader.get_destination_page_number(item)
            if number is not None and number >= 0:
                yield len(stack), clean_title(str(item.title or "")), number


def _place(title: str, text: str, start: int, page: Page) -> int:
    """Where ``title`` stands in ``text`` from ``start`` to the page's end; the page's start if nowhere."""
    words = r"\s+".join(map(re.escape, title.split()))
    for pattern in (rf"^(?:[\dIVX.§]+\s+)?{words}", words):
        found = re.compile(pattern, re.I | re.M).search(text, start, page.end)
        if found:
            return found.start()
    return page.start
