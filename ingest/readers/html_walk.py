"""A page's tree in reading order, without recursion: pages nest without bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

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
