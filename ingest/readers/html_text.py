"""The text of a page, put together tag by tag: blocks parted, white space collapsed, tables row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

from ingest.readers.blocks import LONGEST_REPEATED_CELL, Blocks
from ingest.records import BlockKind

_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog",
    "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
# These follow the block before them on the next line; all others after a blank line.
_TIGHT = frozenset(("li", "tr", "dd", "dt", "td", "th"))
# HTML's own white space: a no-break space is kept, as browsers do.
_SPACE = re.compile(r"[ \t\n\f\r]+")


@dataclass(slots=True)
class _Table:
    """A table that shows data, while it is walked: its rows so far, and the cells that still reach down into rows."""

    rows: int = 0
    cells: list[_Cell] = field(default_factory=list)
    reaching: dict[int, tuple[int, str]] = field(default_factory=dict)  # column → rows left, text


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    names: bool  # a column, by being a th
    columns: int
    rows: int


@dataclass(slots=True)
class _List:
    """A list while it is walked; ``number`` is the next item's where items are numbered."""

    number: int | None = None


class PageText:
    """Takes the events of a walk over the tree, and adds what comes of it to ``blocks``."""

    def __init__(self, blocks: Blocks, shape: Shape) -> None:
        self._shape = shape
        self._blocks = blocks
        self._pieces: list[str] = []
        self._tables: list[_Table | None] = []  # around this place; None for one that only lays out the page
        self._lists: list[_List] = []
        self._preformatted = self._quoted = self._captions = 0
        self._level: int | None = None
        self._bullet = ""
        self._separator = "\n\n"

    def text_node(self, text: str) -> None:
        """Take a run of characters as it stands in the file. Soft hyphens are places to break a line, not letters."""
        text = text.replace("\u00ad", "")
        self._pieces.append(text if self._preformatted else _SPACE.sub(" ", text))

    def open(self, tag: Tag) -> None:
        """Enter an element."""
        name = tag.name
        if name == "br":
            self._pieces.append(" " if self._table else "\n")
        elif name == "img":
            self._pieces.append(f" {_alternative(tag)} ")
        elif name in _BLOCKS:
            self._boundary(name)
        if name == "table":
            self._tables.append(None if self._shape.is_layout(tag) else _Table())
            self._separator = "\n\n"
        elif name == "pre":
            self._preformatted += 1
        elif name == "blockquote":
            self._quoted += 1
        elif name in ("figcaption", "caption"):
            self._captions += 1
        elif name in ("ul", "ol"):
            self._lists.append(_List(_number(tag, "start", 1) if name == "ol" else None))
        elif name == "li":
            self._begin_item(tag)
        elif len(name) == 2 and name[0] == "h" and name[1] in "123456" and not self._table:
            self._level = int(name[1])

    def close(self, tag: Tag) -> None:
        """Leave an element."""
        name, table = tag.name, self._table
        if table is not None and name in ("td", "th"):
            span = min(_number(tag, "colspan", 1), _MOST_SPANNED), _number(tag, "rowspan", 1)
            table.cells.append(_Cell(self._take(), name == "th", *span))
        elif table is not None and name == "caption":
            self._blocks.add(" ".join(self._take().split()), BlockKind.CAPTION, separator=self._separator)
        elif table is not None and name in ("tr", "table"):
            self._end_row(table)
        elif name in _BLOCKS:
            self._boundary(name)
        if name == "pre":
            self._preformatted -= 1
        elif name == "blockquote":
            self._quoted -= 1
        elif name in ("figcaption", "caption"):
            self._captions -= 1
        elif name == "table":
            self._tables.pop()
            self._separator = "\n\n"
        elif name in ("ul", "ol", "dl"):
            if name != "dl" and self._lists:
                self._lists.pop()
            self._separator = "\n" if self._lists else "\n\n"
            self._bullet = ""

    def end_block(self) -> None:
        """Finish the paragraph at hand, if there is one."""
        text = self._take()
        if text:
            kind, level = self._kind()
            bullet = self._bullet if kind is BlockKind.LIST_ITEM else ""
            self._blocks.add(bullet + text, kind, separator=self._separator, level=level)
            self._bullet = ""
            self._separator = "\n\n"
        self._level = None

    def _kind(self) -> tuple[BlockKind, int]:
        """What the paragraph at hand is, and its level."""
        if self._level is not None:
            return BlockKind.HEADING, self._level
        if self._preformatted:
            return BlockKind.CODE, 0
        if self._bullet:
            return BlockKind.LIST_ITEM, max(1, len(self._lists))
        if self._captions:
            return BlockKind.CAPTION, 0
        return (BlockKind.QUOTE if self._quoted else BlockKind.PARAGRAPH), 0

    @property
    def _table(self) -> _Table | None:
        """The table of data that this place is in."""
        return self._tables[-1] if self._tables else None

    def _begin_item(self, tag: Tag) -> None:
        within = self._lists[-1] if self._lists else None
        if within is None or within.number is None:
            self._bullet = "- "
            return
        number = _number(tag, "value", within.number)
        within.number = number + 1
        self._bullet = f"{number}. "

    def _boundary(self, name: str) -> None:
        """Where a block begins or ends. Inside a data table's row only a space is left of it."""
        if self._table is not None:
            self._pieces.append(" ")
            return
        self.end_block()
        if name in _TIGHT:
            self._separator = "\n"

    def _end_row(self, table: _Table) -> None:
        rest = self._take()
        if rest.strip():
            table.cells.append(_Cell(rest, False, 1, 1))
        row = _spread(table)
        header = bool(table.cells) and all(cell.names for cell in table.cells)
        if any(text and text.strip() for text in row):
            self._blocks.add_row(row, first=not table.rows, header=header or None)
            table.rows += 1
        table.cells.clear()

    def _take(self) -> str:
        """The pieces since the last boundary as one text, and begin anew."""
        if not self._pieces:
            return ""
        text = "".join(self._pieces)
        self._pieces.clear()
        if self._preformatted:
            return text.strip("\n")
        lines = "\n".join(_SPACE.sub(" ", line).strip(" ") for line in text.split("\n"))
        return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


# Columns that a cell may say it spans; browsers take a thousand, and no page is that wide.
_MOST_SPANNED = 100


def _spread(table: _Table) -> list[str | None]:
    """A row's texts by column: a cell that spans columns is followed by ``None``, one that spans rows is repeated."""
    texts: list[str | None] = []
    for cell in [*table.cells, None]:
        while (above := table.reaching.get(len(texts))) is not None:
            left, text = above
            if left > 1:
                table.reaching[len(texts)] = left - 1, text
            else:
                del table.reaching[len(texts)]
            texts.append(text)
        if cell is None:
            return texts
        if cell.rows > 1:
            repeated = cell.text if len(cell.text) <= LONGEST_REPEATED_CELL else ""
            table.reaching[len(texts)] = cell.rows - 1, repeated
        texts += [cell.text, *[None] * (cell.columns - 1)]
    return texts


def _number(tag: Tag, name: str, otherwise: int) -> int:
    """The whole number in an attribute, at least 0."""
    value = str(tag.attrs.get(name, "")).strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else otherwise


def _alternative(image: Tag) -> str:
    """What an image says to those who do not see it; a file's name or a single word says nothing."""
    text = " ".join(str(image.attrs.get("alt", "")).split())
    return text if len(text.split()) > 1 else ""


HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
# For each kind of tag, the tags of which one inside makes it something else than it seems.
_TELLING = {
    # A table that holds any of these lays out the page rather than showing data.
    "table": frozenset(("table", "h1", "h2", "h3", "h4", "ul", "ol", "form", "article")),
    # An article's own header is content.
    "header": frozenset(("h1",)),
    # So is the form that some servers (ASP.NET) put around the whole page.
    "form": HEADINGS | {"p", "article", "main"},
}
_CONTENT = frozenset(("article", "main"))


@dataclass(frozen=True, slots=True)
class Shape:
    """The tags, by identity, that hold one of those that tell, and the headers within an article."""

    _holders: set[int] = field(default_factory=set)
    _within: set[int] = field(default_factory=set)

    def is_layout(self, table: Tag) -> bool:
        """Whether a table is there for the page's layout and shows no data."""
        return id(table) in self._holders

    def is_content(self, tag: Tag) -> bool:
        """Whether what looks like furniture is content: the header of a title or an article, the form around a page."""
        return tag.name in ("header", "form") and (id(tag) in self._holders or id(tag) in self._within)


def shape_of(soup: BeautifulSoup) -> Shape:
    """The shape of a page, which must not be changed afterwards."""
    holders, within = set[int](), set[int]()
    around: dict[str, list[int]] = {kind: [] for kind in _TELLING}
    articles = 0
    for step in walk(soup):
        if step[0] == "text":
            continue
        tag, is_open = step[1], step[0] == "open"
        if is_open:
            for kind, telling in _TELLING.items():
                if tag.name in telling:
                    _note(around[kind], holders)
            if tag.name == "header" and articles:
                within.add(id(tag))
        if tag.name in around:
            around[tag.name].append(id(tag)) if is_open else around[tag.name].pop()
        articles += (1 if is_open else -1) * (tag.name in _CONTENT)
    return Shape(holders, within)


def _note(around: list[int], holders: set[int]) -> None:
    """Add all that are ``around`` this place; one that is there already brought those around it along."""
    for tag in reversed(around):
        if tag in holders:
            return
        holders.add(tag)


Step = tuple[Literal["open", "close"], Tag] | tuple[Literal["text"], NavigableString]


def walk(soup: BeautifulSoup, dropped: Callable[[Tag], bool] = lambda tag: False) -> Iterator[Step]:
    """Each tag as it opens and closes, and the text between; of what is ``dropped`` nothing, nor of what is inside.

    Comments, declarations and the like are no text.
    """
    stack: list[tuple[Tag, Iterator[object]]] = [(soup, iter(soup.contents))]
    while stack:
        parent, children = stack[-1]
        node = next(children, None)
        if node is None:
            stack.pop()
            if stack:  # the page itself is no tag
                yield "close", parent
        elif isinstance(node, Tag):
            if not dropped(node):
                yield "open", node
                stack.append((node, iter(node.contents)))
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            yield "text", node
