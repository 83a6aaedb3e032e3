"""The frontier picture: quality against time, one SVG that reads in light and dark, with a title on every point.

By hand, because Altair writes still pictures only through vl-convert, a browser engine of tens of megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from rerank.evaluation.comparison import Comparison, Row
from rerank.evaluation.systems import Combination
from rerank.judged.records import VERDICT_MEASURE
from retrieval.records import CandidateSource

WIDTH = 860
LEFT, RIGHT, TOP = 70, 560, 52
LOWEST, DEEPEST = 380, 640  # where the plot ends at the bottom: as far down as the names need, within these
# Three to one or more on white and on #15171c alike; shapes tell the combinations apart without them.
COLOURS = (
    "#2f7fd1", "#c9640f", "#1a8f6a", "#8a5cc9", "#b8466f", "#85792a", "#0d8a9e", "#c0473b", "#5f8a1f"
)  # fmt: skip
SHAPES = {
    Combination.SHIPPED: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    Combination.ALONE: "M0 -6.5L6.5 0L0 6.5L-6.5 0z",
    Combination.WEIGHTED: "M-4.7 -4.7H4.7V4.7H-4.7z",
    Combination.RECIPROCAL: "M0 -6L6 4.6H-6z",
}
STYLE = """
  svg { --ink: #1c1f24; --soft: #5c6470; --line: #d9dde3; --paper: #ffffff; background: var(--paper) }
  @media (prefers-color-scheme: dark) { svg { --ink: #e8eaed; --soft: #a4acb8; --line: #353a43; --paper: #15171c } }
  text { font: 13px system-ui, sans-serif; fill: var(--ink) } .soft { fill: var(--soft); font-size: 12px }
  .grid { stroke: var(--line) } .path { fill: none; stroke-width: 1.5; opacity: .55 }
  .front { fill: none; stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 2 4 } .hollow { fill: var(--paper) }
"""


@dataclass(frozen=True, slots=True)
class _Point:
    row: Row
    ms: float
    quality: float
    on_front: bool

    @property
    def series(self) -> tuple[str, Combination, CandidateSource]:
        return self.row.system.name, self.row.system.combination, self.row.system.source


@dataclass(frozen=True, slots=True)
class _Axes:
    """Log of milliseconds across, nDCG@10 upwards."""

    ms: tuple[float, float]
    quality: tuple[float, float]
    bottom: int

    def at(self, ms: float, quality: float) -> tuple[float, float]:
        start, end = (math.log10(limit) for limit in self.ms)
        x = LEFT + (RIGHT - LEFT) * (math.log10(ms) - start) / (end - start)
        y = self.bottom - (self.bottom - TOP) * (quality - self.quality[0]) / (
            self.quality[1] - self.quality[0]
        )
        return round(x, 1), round(y, 1)

    def path(self, points: Iterable[_Point]) -> str:
        return " ".join(f"{x},{y}" for x, y in (self.at(point.ms, point.quality) for point in points))


def frontier_svg(comparison: Comparison) -> str:
    """The picture as an SVG document.

    A colour tells a reranker on one first look's candidates from the others; from the tenth on they come again.

    Raises `ValueError` where the times are not known, as of runs that others made.
    """
    points = [
        _Point(row, max(row.system.latency[0], 0.1), row.means[VERDICT_MEASURE], on_front)
        for row, on_front in zip((comparison.before, *comparison.rows), comparison.front, strict=True)
        if row.system.latency
    ]
    if not points:
        raise ValueError("there are no times to draw quality against")
    times, values = [point.ms for point in points], [point.quality for point in points]
    room = max(0.1 * (max(values) - min(values)), 0.005)
    front = sorted((point for point in points if point.on_front), key=lambda point: point.ms)
    series = [list(group) for _, group in groupby(points, key=lambda point: point.series)]
    colours = _colours(series)
    names, end = _legend(series, colours)
    bottom = min(max(LOWEST, end - 42), DEEPEST)
    height = max(bottom + 60, end + 18)
    axes = _Axes((min(times) / 1.5, max(times) * 1.5), (min(values) - room, max(values) + room), bottom)
    heading = f"{comparison.name}: {VERDICT_MEASURE} against time, {comparison.queries} queries"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(heading)}</title><style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" style="fill: var(--paper)"/>',
            f'<text x="{LEFT}" y="28">{escape(heading)}</text>',
            *_grid(axes),
            f'<polyline class="front" points="{axes.path(front)}"/>',
            *_marks(axes, series, colours),
            *names,
            "</svg>\n",
        ]
    )


def _grid(axes: _Axes) -> Iterator[str]:
    """Lines and numbers of both axes, and what they count."""
    for ms in (digit * 10.0**power for power in range(-1, 6) for digit in (1, 2, 5)):
        if axes.ms[0] <= ms <= axes.ms[1]:
            x, _ = axes.at(ms, axes.quality[0])
            yield f'<path class="grid" d="M{x} {TOP}V{axes.bottom}"/>'
            yield f'<text class="soft" x="{x}" y="{axes.bottom + 18}" text-anchor="middle">{ms:,g}</text>'
    for quality in _round_numbers(*axes.quality):
        _, y = axes.at(axes.ms[0], quality)
        yield f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>'
        yield f'<text class="soft" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{quality:.3f}</text>'
    below = axes.bottom + 40
    yield f'<text class="soft" x="{RIGHT}" y="{below}" text-anchor="end">ms a query, median, log scale</text>'
    yield f'<text class="soft" x="{LEFT}" y="{TOP - 6}" text-anchor="end">{VERDICT_MEASURE}</text>'


def _colours(series: Sequence[Sequence[_Point]]) -> list[str]:
    """One for each series: ink for the first look on top, and one for all combinations of a reranker's."""
    _, *others = [(row[0].row.system.name, row[0].row.system.source) for row in series]
    names = list(dict.fromkeys(others))
    return ["var(--ink)", *(COLOURS[names.index(other) % len(COLOURS)] for other in others)]


def _marks(axes: _Axes, series: Sequence[Sequence[_Point]], colours: Sequence[str]) -> Iterator[str]:
    """Each reranker's and combination's depths as a line of marks."""
    for row, colour in zip(series, colours, strict=True):
        yield f'<polyline class="path" stroke="{colour}" points="{axes.path(row)}"/>'
        for point in row:
            yield _mark(axes, point, colour)


def _legend(series: Sequence[Sequence[_Point]], colours: Sequence[str]) -> tuple[list[str], int]:
    """The names of the series at the right, and where the last line stands."""
    lines, y = [], TOP + 6
    for row, colour in zip(series, colours, strict=True):
        system = row[0].row.system
        lines.append(
            f'<path d="{SHAPES[system.combination]}" fill="{colour}" transform="translate({RIGHT + 24} {y})"/>'
            f'<text x="{RIGHT + 38}" y="{y + 4}">{escape(system.recipe)}</text>'
        )
        if system.found_by:
            y += 16
            lines.append(f'<text class="soft" x="{RIGHT + 38}" y="{y + 4}">{escape(system.found_by)}</text>')
        y += 22
    for line in ("filled: on the frontier (dotted)", "numbers: candidates reranked"):
        y += 20
        lines.append(f'<text class="soft" x="{RIGHT + 18}" y="{y}">{line}</text>')
    return lines, y


def _mark(axes: _Axes, point: _Point, colour: str) -> str:
    """One point, filled and numbered where it is on the frontier, with all that is known of it as its title."""
    system = point.row.system
    x, y = axes.at(point.ms, point.quality)
    look = f'fill="{colour}"' if point.on_front else 'class="hollow"'
    depth = f", {system.depth} candidates" if system.depth else ""
    title = escape(f"{system.title}{depth}: {point.quality:.4f}, {point.ms:.0f} ms")
    number = (
        f'<text class="soft" x="8" y="-7">{system.depth}</text>' if point.on_front and system.depth else ""
    )
    return (
        f'<g transform="translate({x} {y})"><title>{title}</title>{number}'
        f'<path d="{SHAPES[system.combination]}" {look} stroke="{colour}" stroke-width="1.6"/></g>'
    )


def _round_numbers(low: float, high: float) -> list[float]:
    """Four to ten multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(digit * power for digit in (1, 2, 5) if digit * power <= rough)
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
