"""Which lines are headings, and of which level: by the outline where it names them, else by how they are set."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pypdf import PdfReader
from pypdf.generic import Destination

from ingest.readers.pdf.flow import NUMBERED_HEADING
from ingest.readers.pdf.layout import Line
from ingest.readers.titles import clean_title

# A book of 1,000 pages has some hundreds of entries; beyond this an outline is an index or a fault.
_MOST_ENTRIES = 5_000
LARGER = 1.12
_LONGEST = 120
_MOST_LEVELS = 6
# Of a document's letters: what is set larger or bold in more than this is no heading, but how the text is set.
_MOST_OF_TEXT = 0.25
_SENTENCE = re.compile(r"[.;,]$|[.!?]\s+[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the outline: its level from 1, its words, and the number of its page from 1."""

    level: int
    title: str
    page: int


def outline_entries(reader: PdfReader) -> Iterator[Entry]:
    """The entries that lead to a page, in order. Raises what pypdf raises on a broken outline."""
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
            title = clean_title(str(item.title or ""))
            if number is not None and number >= 0 and title:
                yield Entry(len(stack), title, number + 1)


def heading_levels(pages: Sequence[Sequence[Line]], entries: Sequence[Entry]) -> dict[int, int]:
    """The level of each line that is a heading, by the line's ``id``."""
    levels = _named(pages, entries)
    body = body_size(pages)
    candidates = [line for page in pages for line in _set_apart(page, body) if id(line) not in levels]
    total = sum(len(line.text) for page in pages for line in page)
    if sum(len(line.text) for line in candidates) > _MOST_OF_TEXT * total:
        candidates = [line for line in candidates if line.size > LARGER * body and len(line.text) < 60]
        if sum(len(line.text) for line in candidates) > _MOST_OF_TEXT * total:
            return levels
    by_looks = _levels_by_looks(pages, levels, candidates)
    for line in candidates:
        levels[id(line)] = by_looks[_looks(line)]
    return levels


def _named(pages: Sequence[Sequence[Line]], entries: Sequence[Entry]) -> dict[int, int]:
    """The lines whose words are an entry's, on its page or on the next."""
    levels: dict[int, int] = {}
    for entry in entries:
        wanted = _letters(entry.title)
        for page in pages[entry.page - 1 : entry.page + 1]:
            lines = _lines_with(wanted, page, levels)
            if lines:
                levels |= {id(line): min(entry.level, _MOST_LEVELS) for line in lines}
                break
    return levels


def _lines_with(wanted: str, page: Sequence[Line], taken: dict[int, int]) -> list[Line]:
    """The line that is ``wanted``, less its number, or the two or three that are it together."""
    for index, line in enumerate(page):
        if line.table or line.leader or id(line) in taken or not wanted:
            continue
        together, lines = "", []
        for next_line in page[index : index + 3]:
            together += _letters(next_line.text)
            lines.append(next_line)
            if together == wanted or (together.endswith(wanted) and together.removesuffix(wanted).isdigit()):
                return lines
            if not wanted.startswith(together.lstrip("0123456789")) and not wanted.startswith(together):
                break
    return []


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def body_size(pages: Sequence[Sequence[Line]]) -> float:
    """The size that most letters have."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page:
            sizes[round(line.size, 1)] += len(line.text)
    return max(sizes, key=lambda size: sizes[size]) if sizes else 0.0


def _set_apart(page: Sequence[Line], body: float) -> Iterator[Line]:
    """Lines of a page that look like headings: short, worded, larger than the text or bold, and above something."""
    for index, line in enumerate(page):
        if line.table or line.leader or line.mono or len(line.text) > _LONGEST:
            continue
        if line.parts > 2 or (line.parts == 2 and not NUMBERED_HEADING.match(line.text)):
            continue
        if sum(map(str.isalpha, line.text)) < 2 or _SENTENCE.search(line.text):
            continue
        above = page[index - 1] if index else None
        below = page[index + 1] if index + 1 < len(page) else None
        larger = line.size > LARGER * body
        apart = above is None or not line.gap or line.gap > 1.2 * line.size or _looks(above) == _looks(line)
        bold = line.bold and line.size >= 0.95 * body and apart and (below is None or not below.table)
        if larger or bold or _is_numbered(line, above, body):
            yield line


def _is_numbered(line: Line, above: Line | None, body: float) -> bool:
    """Whether a line of the text's own size is headed by its number alone: “2.1 On cranes”, standing apart."""
    number = NUMBERED_HEADING.match(line.text)
    if number is None or line.size < 0.95 * body or line.fill > 0.75 or ":" in line.text:
        return False
    dotted = "." in number[0].split()[0].rstrip(".") or number[0][0] == "§"
    return dotted and (above is None or not line.gap or line.gap > 1.2 * line.size)


def _looks(line: Line) -> tuple[float, bool]:
    return round(line.size * 2) / 2, line.bold


def _levels_by_looks(
    pages: Sequence[Sequence[Line]], levels: dict[int, int], candidates: Sequence[Line]
) -> dict[tuple[float, bool], int]:
    """A level for each way in which candidates are set: that of the outline's lines that look so, else below the
    deepest of those that are larger."""
    known: dict[tuple[float, bool], Counter[int]] = defaultdict(Counter)
    for page in pages:
        for line in page:
            if id(line) in levels:
                known[_looks(line)][levels[id(line)]] += 1
    result = {looks: counts.most_common(1)[0][0] for looks, counts in known.items()}
    for looks in sorted({_looks(line) for line in candidates}, reverse=True):
        if looks not in result:
            above = [level for other, level in result.items() if other > looks]
            result[looks] = min(max(above, default=0) + 1, _MOST_LEVELS)
    return result
