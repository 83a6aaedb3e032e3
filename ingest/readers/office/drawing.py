"""What diagrams and charts of Office documents say: their words, in the order in which they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
# Points of a chart that are told one by one; of more only their number matters, which nobody asks for.
_MOST_POINTS = 200


def parsed(data: bytes) -> Any:
    """The root of a part, read without entities and addresses."""
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))


def diagram_lines(root: Any) -> Iterator[str]:
    """The words of each box of a SmartArt diagram, by its part of data."""
    for point in root.iter(f"{_DIAGRAM}pt"):
        if point.get("type", "node") in ("node", "asst"):
            words = words_of(point)
            if words:
                yield words


def chart_lines(root: Any) -> Iterator[str]:
    """The titles of a chart and its axes, then a line for each category with the values of all series."""
    for title in root.iter(f"{_CHART}title"):
        if words := words_of(title):
            yield words
    rows: dict[str, list[str]] = {}
    for number, series in enumerate(root.iter(f"{_CHART}ser"), start=1):
        name = next(_values(series.find(f"{_CHART}tx")), ("", ""))[1] or f"series {number}"
        categories = dict(_values(series.find(f"{_CHART}cat")))
        for index, value in _values(series.find(f"{_CHART}val")):
            rows.setdefault(categories.get(index, index), []).append(f"{name} {_short(value)}")
    for category, values in list(rows.items())[:_MOST_POINTS]:
        yield f"{category}: {', '.join(values)}"


def words_of(element: Any) -> str:
    """The words under an element, paragraphs parted by spaces."""
    paragraphs = ("".join(run.text or "" for run in paragraph.iter(f"{_DRAWING}t"))
                  for paragraph in element.iter(f"{_DRAWING}p"))  # fmt: skip
    return " ".join(" ".join(paragraphs).split())


def _values(element: Any) -> Iterator[tuple[str, str]]:
    """The points of a part of a series: their index and their value."""
    if element is None:
        return
    for point in element.iter(f"{_CHART}pt"):
        value = point.find(f"{_CHART}v")
        if value is not None and value.text:
            yield point.get("idx", ""), " ".join(value.text.split())


def _short(value: str) -> str:
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value
