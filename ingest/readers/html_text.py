"""The text of a page, put together tag by tag: blocks parted, white space collapsed, tables row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

from ingest.readers.blocks import Blocks
from ingest.readers.source import Source
from ingest.records import Heading

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


class PageText:
    """Takes the events of a walk over the tree; ``text`` and ``headings`` hold what came of it."""

    def __init__(self, source: Source, shape: Shape) -> None:
        self._shape = shape
        self._blocks = Blocks(source)
        self._pieces: list[str] = []
        self._cells: list[str] = []
        self._tables: list[bool] = []  # for each table around this place: does it show data?
        self._preformatted = 0
        self._level: int | None = None
        self._bullet = ""
        self._separator = "\n\n"

    @property
    def text(self) -> str:
        """The text so far."""
        return self._blocks.text

    @property
    def headings(self) -> list[Heading]:
        """The headings so far, each at the place of its words."""
        return self._blocks.headings

    @property
    def first_title(self) -> str:
        """The first heading of the highest level, or ""."""
        return next((heading.text for heading in self.headings if heading.level == 1), "")

    def text_node(self, text: str) -> None:
        """Take a run of characters as it stands in the file."""
        self._pieces.append(text if self._preformatted else _SPACE.sub(" ", text))

    def open(self, tag: Tag) -> None:
        """Enter an element."""
        name = tag.name
        if name == "br":
            self._pieces.append(" " if self._in_data else "\n")
        elif name in _BLOCKS:
            self._boundary(name)
        if name == "table":
            self._tables.append(not self._shape.is_layout(tag))
            self._separator = "\n\n"
        elif name == "pre":
            self._preformatted += 1
        elif name == "li":
            self._bullet = "- "
        elif len(name) == 2 and name[0] == "h" and name[1] in "123456" and not self._in_data:
            self._level = int(name[1])

    def close(self, tag: Tag) -> None:
        """Leave an element."""
        name = tag.name
        if self._in_data and name in ("td", "th"):
            self._cells.append(self._take())
        elif self._in_data and name in ("tr", "caption", "table"):
            self._end_row()
        elif name in _BLOCKS:
            self._boundary(name)
        if name == "pre":
            self._preformatted -= 1
        elif name == "table":
            self._tables.pop()
            self._separator = "\n\n"
        elif name in ("ul", "ol", "dl"):
            self._separator = "\n\n"
            self._bullet = ""

    def end_block(self) -> None:
        """Finish the paragraph at hand, if there is one."""
        text = self._take()
        if text:
            bullet = self._bullet if self._level is None else ""
            self._blocks.add(bullet + text, separator=self._separator, level=self._level)
            self._bullet = ""
            self._separator = "\n\n"
        self._level = None

    @property
    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _boundary(self, name: str) -> None:
        """Where a block begins or ends. Inside a data table's row only a space is left of it."""
        if self._in_data:
            self._pieces.append(" ")
            return
        self.end_block()
        if name in _TIGHT:
            self._separator = "\n"

    def _end_row(self) -> None:
        last = self._take()
        cells = [" ".join(cell.split()) for cell in [*self._cells, last]]
        self._cells.clear()
        self._blocks.add(" | ".join(filter(None, cells)), separator=self._separator)
        self._separator = "\n"

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


_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
# For each kind of tag, the tags of which one inside makes it something else than it seems.
_TELLING = {
    # A table that holds any of these lays out the page rather than showing data.
    "table": frozenset(("table", "h1", "h2", "h3", "h4", "ul", "ol", "form", "article")),
    # An article's own header is content.
    "header": frozenset(("h1",)),
    # So is the form that some servers (ASP.NET) put around the whole page.
    "form": _HEADINGS | {"p", "article", "main"},
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
