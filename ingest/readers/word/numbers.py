"""The numbers that Word writes before paragraphs and that stand nowhere in the text: “1.2.1”, “(a)”, “§ 3”."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from docx.document import Document as WordDocument
from docx.oxml.ns import qn

_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LARGEST_ROMAN = 4_000


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    format: str
    text: str


class AutomaticNumbers:
    """Counts as Word does while paragraphs are read in order; see ECMA-376, part 1, 17.9."""

    def __init__(self, word: WordDocument) -> None:
        """Read how the document's lists are numbered; one without lists numbers nothing."""
        self._levels: dict[str, dict[int, _Level]] = {}  # by list
        self._counters: dict[str, str] = {}  # list → the abstract list, which counts for all of its lists
        self._restarts: dict[tuple[str, int], int] = {}  # of a list: where it begins to count anew
        self._counts: dict[str, list[int | None]] = defaultdict(lambda: [None] * _LEVELS)
        self._begun: set[tuple[str, int]] = set()
        try:
            root = word.part.numbering_part.element
        except (KeyError, NotImplementedError):  # it has none
            return
        abstract = {each.get(qn("w:abstractNumId")): each for each in root.iterchildren(qn("w:abstractNum"))}
        for number in root.iterchildren(qn("w:num")):
            self._read_list(number, abstract)

    def label(self, number_id: str, level: int) -> str:
        """What stands before the next paragraph of this list and level; “” for a mark, or where nothing is counted."""
        levels = self._levels.get(number_id, {})
        if level not in levels:
            return ""
        counts = self._counts[self._counters[number_id]]
        for below in range(level + 1, _LEVELS):
            counts[below] = None
        restart = self._restarts.get((number_id, level))
        if restart is not None and (number_id, level) not in self._begun:
            counts[level] = None
        self._begun.add((number_id, level))
        for each in range(level + 1):
            if each not in levels:
                continue
            before = counts[each]
            if before is None:
                counts[each] = restart if each == level and restart is not None else levels[each].start
            elif each == level:
                counts[each] = before + 1
        if levels[level].format in ("bullet", "none"):
            return ""
        return _PLACE.sub(lambda place: _shown(levels, counts, int(place[1]) - 1), levels[level].text).strip()

    def _read_list(self, number: Any, abstract: dict[str, Any]) -> None:
        number_id = number.get(qn("w:numId"))
        link = number.find(qn("w:abstractNumId"))
        counter = link.get(qn("w:val")) if link is not None else None
        if counter not in abstract:
            return
        self._counters[number_id] = counter
        levels = {
            level: read
            for each in abstract[counter].iterchildren(qn("w:lvl"))
            if (level := _whole(each.get(qn("w:ilvl")), -1)) in range(_LEVELS) and (read := _level(each))
        }
        for override in number.iterchildren(qn("w:lvlOverride")):
            level = _whole(override.get(qn("w:ilvl")), -1)
            own, start = override.find(qn("w:lvl")), override.find(qn("w:startOverride"))
            if own is not None and level in range(_LEVELS):
                levels[level] = _level(own)
            if start is not None:
                self._restarts[number_id, level] = _whole(start.get(qn("w:val")), 1)
        self._levels[number_id] = levels


def _level(element: Any) -> _Level:
    def value(name: str, otherwise: str) -> str:
        child = element.find(qn(name))
        return otherwise if child is None else str(child.get(qn("w:val"), otherwise))

    return _Level(_whole(value("w:start", "1"), 1), value("w:numFmt", "decimal"), value("w:lvlText", ""))


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else otherwise


def _shown(levels: dict[int, _Level], counts: list[int | None], level: int) -> str:
    count = counts[level]
    if level not in levels or count is None:
        return ""
    return _written(count, levels[level].format)


def _written(count: int, format: str) -> str:
    """A count as this format writes it; formats of other languages as decimals, which people can search for."""
    if format.endswith("Letter") and count > 0:  # a … z, aa, bb …
        letter = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letter.upper() if format.startswith("upper") else letter
    if format.endswith("Roman") and 0 < count < _LARGEST_ROMAN:
        roman = ""
        for value, sign in _ROMAN:
            roman += sign * (count // value)
            count %= value
        return roman.upper() if format.startswith("upper") else roman
    return f"0{count}" if format == "decimalZero" and count < 10 else str(count)
