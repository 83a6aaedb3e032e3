"""Page numbers, running headers and footers, letterheads: found by what repeats at the edges of pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# A running header or footer stands on this share of the pages (odd and even pages may have their own), and on three
# at the least; on both of two pages where it stands in the same place to the point.
_FURNITURE_SHARE = 1 / 3
_FEWEST_REPEATS = 3
# Lines of a letterhead, or of a footer with an address, that are looked at.
_TALLEST = 12


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """A line of a page as furniture is known by: its text, and where and how it stands, "" where that is unknown."""

    text: str
    place: str = ""


Place = tuple[int, int]  # index of a page, and of a line in it


def furniture(pages: Sequence[Sequence[EdgeLine]]) -> tuple[set[Place], set[Place]]:
    """Which lines are page numbers, or running headers and footers after their first page; and which are their first.

    The lines of each page come from its top. No page loses its only line.
    """
    inner = [list(range(len(page))) for page in pages]
    gone: set[Place] = set()
    first: set[Place] = set()
    for edge in (0, -1):
        for _ in range(_TALLEST):
            if not _strip_edge(pages, inner, edge, gone, first):
                break
    whole = {
        index for index, page in enumerate(pages) if all((index, line) in gone for line in range(len(page)))
    }
    return {(page, line) for page, line in gone if page not in whole}, first


def without_furniture(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """As `furniture`: the pages without it."""
    gone, _ = furniture([[EdgeLine(line) for line in page] for page in pages])
    return [
        [line for index, line in enumerate(page) if (number, index) not in gone]
        for number, page in enumerate(pages)
    ]


def _strip_edge(
    pages: Sequence[Sequence[EdgeLine]],
    inner: Sequence[list[int]],
    edge: int,
    gone: set[Place],
    first: set[Place],
) -> bool:
    """Take repeated first (``edge`` 0) or last (-1) lines out of ``inner``; whether there were any.

    Into ``gone`` goes each but the first that says the same, which goes into ``first``.
    """
    keys = {
        index: _furniture_keys(pages[index][own[edge]], index + 1, len(pages) == 2)
        for index, own in enumerate(inner)
        if len(own) > 1
    }
    counts = Counter(key for own in keys.values() for key in own)
    least = 2 if len(pages) == 2 else max(_FEWEST_REPEATS, len(pages) * _FURNITURE_SHARE)
    met: set[str] = set()
    stripped = False
    for index, own in keys.items():
        line = inner[index][edge]
        text = pages[index][line].text
        repeated = {key for key in own if counts[key] >= least}
        bare = text.strip("-–—[]() ")
        wordless = not any(map(str.isalpha, text)) or bool(_ROMAN.fullmatch(bare))
        is_number = bare == str(index + 1) or bool(repeated and wordless)
        if is_number or repeated & met:
            gone.add((index, line))
        elif repeated:
            first.add((index, line))
        if is_number or repeated:
            del inner[index][edge]
            stripped = True
        met |= repeated
    return stripped


def _furniture_keys(line: EdgeLine, number: int, two_pages: bool) -> set[str]:
    """What ``line`` of page ``number`` would repeat as: itself, or with its first or last figure counted
    from the page's own, so that "7 of 9" and "8 of 9" agree but the totals of two invoices do not."""
    if two_pages and not line.place:
        return set()
    text = line.text
    keys = {text} if any(map(str.isalpha, text)) else set()
    figures = list(re.finditer(r"\d{1,6}", text))
    for figure in {figures[0], figures[-1]} if figures else ():
        keys.add(f"{text[: figure.start()]}\0{int(figure[0]) - number:+d}\0{text[figure.end() :]}")
    for figure in _ROMAN.finditer(text):
        keys.add(f"{text[: figure.start()]}\0{_value(figure[0]) - number:+d}\0{text[figure.end() :]}")
    return {f"{key}\0{line.place}" for key in keys} if two_pages else keys


# Small Roman numerals, with which the pages before the first chapter are counted.
_ROMAN = re.compile(r"(?<!\w)(?=[ivxl])(?:xl|l?x{0,3})(?:ix|iv|v?i{0,3})(?!\w)")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50}


def _value(numeral: str) -> int:
    """A Roman numeral's value: ``"xiv"`` → 14."""
    values = [_ROMAN_VALUES[sign] for sign in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )
