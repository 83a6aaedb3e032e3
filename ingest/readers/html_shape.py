"""What holds what in a page, found in one walk over it.

Asked tag by tag (`Tag.find`), a page of nested tables takes time in the square of its depth:
300 KB of them, over a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Tag

from ingest.readers.html_walk import walk

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
