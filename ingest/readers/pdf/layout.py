"""Runs of a page → its lines in the order in which people read them: columns one after the other, tables row by row.

Places decide, and where they do not, the order in which the file draws: a table and two columns of prose both leave
white between two rows of words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.readers.pdf.runs import PageText, Run

# In shares of the size of the letters.
_SAME_LINE = 0.45
_GUTTER = 0.7
_ALIGNED = 0.4
_CELL = 1.1
# Gutters that are looked at in one stretch of a page, and how deep columns nest.
_MOST_GUTTERS = 6
_DEEPEST = 6
# Runs of one page that are laid out; beyond it (a drawing made of letters) they are taken row by row.
_MOST_RUNS = 20_000
_FEWEST_ROWS = 3
# The shortest line of a column of prose in characters, on average: cells are shorter.
_NARROWEST = 14
_LEADER = re.compile(r"(?:[.·…_]\s?){4,}|(?:\s[.·]){3,}|(?:\s\.){1,3}\s(?=\d{1,4}$)")
_PAGE_NUMBER = re.compile(r"\S.*\s(?:\d{1,4}|[ivxl]{1,6})")
_LEADERS_ALONE = re.compile(r"[.·…\s_]*")


@dataclass(slots=True)
class Line:
    """A line of text. Places as in `Run`.

    ``fill`` is how much of its column it fills, up to 1; ``gap`` what is between its baseline and that of the line
    above in its column, in points, 0 for the first. ``cells`` is of a row of a table; ``table`` counts those of the
    page from 1.
    """

    text: str
    left: float
    right: float
    y: float
    size: float
    bold: bool = False
    mono: bool = False
    fill: float = 1.0
    indent: float = 0.0
    gap: float = 0.0
    cells: tuple[str, ...] = ()
    table: int = 0
    leader: bool = False
    parts: int = 1  # pieces with white between them
    alone: bool = False  # neither goes on nor is gone on with: a letterhead, a running title


Row = list[Run]


def lines_of(page: PageText) -> list[Line]:
    """The lines of a page, in order."""
    lines: list[Line] = []
    tables = 0
    for runs in page.directions:
        for number, run in enumerate(runs):
            run.order = number
        for region in _regions(runs, 0) if len(runs) <= _MOST_RUNS else [_rows(runs)]:
            own = _region_lines(region, tables)
            tables = max([tables, *(line.table for line in own)])
            lines += own
    return lines


def _rows(runs: Sequence[Run]) -> list[Row]:
    """Runs on one baseline, from the top; each row from its left."""
    rows: list[Row] = []
    for run in sorted(runs, key=lambda run: -run.y):
        # The one above may be taller or smaller (a raised mark of a note): the smaller of both decides.
        if rows and any(abs(run.y - other.y) < _SAME_LINE * _smaller(run, other) for other in rows[-1][-2:]):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [sorted(row, key=lambda run: run.left) for row in rows]


def _smaller(one: Run, other: Run) -> float:
    return min(max(one.size, other.size) * 0.7, min(one.size, other.size) * 1.3)


def _regions(runs: Sequence[Run], depth: int) -> list[list[Row]]:
    """Stretches of the page, each with its rows, in the order in which they are read."""
    rows = _rows(runs)
    if depth < _DEEPEST:
        for start, end in _gutters(runs):
            bands = list(_bands(rows, (start + end) / 2))
            if not any(columns for columns, _ in bands):
                continue
            regions: list[list[Row]] = []
            for columns, band in bands:
                if not columns:
                    regions += _regions([run for row in band for run in row], depth + 1)
                    continue
                middle = (start + end) / 2
                for side in (True, False):
                    own = [run for row in band for run in row if (run.left < middle) is side]
                    regions += _regions(own, depth + 1)
            return regions
    return [rows] if rows else []


def _gutters(runs: Sequence[Run]) -> list[tuple[float, float]]:
    """Upright stretches that few runs cross, with many on both sides; the most promising first."""
    if len(runs) < 2 * _FEWEST_ROWS:
        return []
    size = median(run.size for run in runs)
    edges = Counter[int]()
    lefts, rights = Counter[int](), Counter[int]()
    low = min(run.left for run in runs)
    high = min(max(run.right for run in runs), low + 20_000)
    for run in runs:
        first, last = int(run.left - low), int(min(run.right, high) - low)
        edges[first] += 1
        edges[last + 1] -= 1
        lefts[last + 1] += 1
        rights[first] += 1
    crossing, before, after = 0, 0, len(runs)
    places: list[tuple[int, int]] = []  # place, score
    for place in range(int(high - low) + 1):
        crossing += edges[place]
        before += lefts[place]
        after -= rights[place]
        sides = min(before, after)
        if sides >= _FEWEST_ROWS and crossing <= 0.34 * sides:
            places.append((place, sides - 2 * crossing))
    stretches: list[tuple[int, float, float]] = []
    begin = 0
    for index in range(1, len(places) + 1):
        if index == len(places) or places[index][0] != places[index - 1][0] + 1:
            own = places[begin:index]
            best = max(score for _, score in own)
            core = [place for place, score in own if score >= best - max(1, best // 10)]
            if core[-1] - core[0] + 1 >= min(_GUTTER * size, 9):
                stretches.append((best, low + core[0], low + core[-1]))
            begin = index
    stretches.sort(key=lambda one: (-one[0], one[1] - one[2]))
    return [(start, end) for _, start, end in stretches[:_MOST_GUTTERS]]


def _bands(rows: Sequence[Row], middle: float) -> Iterator[tuple[bool, list[Row]]]:
    """Rows in stretches from the top: whether they are two columns, and the rows."""
    band: list[Row] = []
    plain: list[Row] = []
    for row in [*rows, None]:
        if row is not None and not any(run.left < middle < run.right for run in row):
            band.append(row)
            continue
        head, columns, tail = _trimmed(band, middle)
        if columns:
            if plain + head:
                yield False, plain + head
            yield True, columns
            plain = tail
        else:
            plain += band
        band = []
        if row is not None:
            plain.append(row)
    if plain:
        yield False, plain


def _trimmed(band: list[Row], middle: float) -> tuple[list[Row], list[Row], list[Row]]:
    """A band's rows above its columns, in them, and below: a heading that stands far above its column is in none."""
    left = [row for row in band if row[0].left < middle]
    right = [row for row in band if row[-1].left >= middle]
    if not left or not right:
        return band, [], []
    top = min(left[0][0].y, right[0][0].y) + 2.5 * max(run.size for run in band[0])
    first = next((index for index, row in enumerate(band) if row[0].y <= top), 0)
    columns = band[first:]
    return (band[:first], columns, []) if _are_columns(columns, middle) else (band, [], [])


def _are_columns(band: Sequence[Row], middle: float) -> bool:
    """Whether left and right of ``middle`` are columns to be read one after the other, rather than cells of rows."""
    left = [[run for run in row if run.left < middle] for row in band]
    right = [[run for run in row if run.left >= middle] for row in band]
    lefts, rights = [row for row in left if row], [row for row in right if row]
    both = sum(bool(one and other) for one, other in zip(left, right, strict=True))
    if min(len(lefts), len(rights)) < _FEWEST_ROWS:
        return False
    prose = all(_mean_length(side) >= _NARROWEST for side in (lefts, rights))
    if both < 0.5 * min(len(lefts), len(rights)):
        return prose or max(_mean_length(lefts), _mean_length(rights)) >= 2 * _NARROWEST
    runs = sorted((run for row in band for run in row), key=lambda run: run.order)
    switches = sum((one.left < middle) is not (other.left < middle) for one, other in pairwise(runs))
    one_by_one = switches <= max(2, 0.15 * both)
    going_on = min(_going_on(lefts), _going_on(rights))
    if one_by_one:
        return prose and (going_on >= 0.15 or min(_fill(lefts), _fill(rights)) > 0.6)
    return prose and going_on >= 0.3


def _mean_length(rows: Sequence[Row]) -> float:
    return sum(len(run.text) for row in rows for run in row) / len(rows)


def _going_on(rows: Sequence[Row]) -> float:
    """The share of rows that begin as a sentence goes on."""
    return sum(row[0].text[0].islower() for row in rows) / len(rows)


def _fill(rows: Sequence[Row]) -> float:
    """The share of rows that reach the right edge of them all, or nearly."""
    rights = sorted(row[-1].right for row in rows)
    edge, start = rights[int(0.9 * (len(rights) - 1))], min(row[0].left for row in rows)
    return sum(right > edge - 0.15 * (edge - start) for right in rights) / len(rights)


# --- the lines of one stretch


def _cells(row: Row) -> list[Run]:
    """The row with what is near enough to be one cell put together; dots that lead to a number are of no cell."""
    cells: list[Run] = []
    for run in row:
        last = cells[-1] if cells else None
        size = max(run.size, last.size) if last else run.size
        if last is not None and run.left - last.right < _CELL * size:
            space = " " if run.left - last.right > 0.18 * size else ""
            cells[-1] = Run(
                f"{last.text}{space}{run.text}", last.left, max(last.right, run.right),
                last.y if last.size >= run.size else run.y, size=max(last.size, run.size),
                bold=last.bold and run.bold, mono=last.mono and run.mono, order=last.order,
            )  # fmt: skip
        else:
            cells.append(run)
    return cells


def _region_lines(rows: Sequence[Row], tables: int) -> list[Line]:
    cells = [_cells(row) for row in rows]
    right_to_left = sum(_is_rtl(run.text) for row in rows for run in row) * 2 > sum(map(len, rows))
    lines: list[Line] = []
    position = 0
    while position < len(cells):
        length = _table_length(cells, position)
        if length:
            tables += 1
            lines += _table_lines(cells[position : position + length], tables)
            position += length
            continue
        own = cells[position]
        lines.append(_line(own[::-1] if right_to_left else own))
        position += 1
    _join_contents(lines)
    _measure(lines)
    return lines


def _join_contents(lines: Sequence[Line]) -> None:
    """Chapters among lines with dots that lead to a page have none, in many tables of contents."""
    for index, line in enumerate(lines):
        if line.parts > 1 and not line.table and not line.leader and _PAGE_NUMBER.fullmatch(line.text):
            line.leader = any(other.leader for other in lines[max(0, index - 1) : index + 2])


def _is_rtl(text: str) -> bool:
    return sum("\u0590" <= sign <= "\u08ff" for sign in text) * 2 > len(text)


def _line(cells: Sequence[Run]) -> Line:
    text = " ".join(cell.text for cell in cells)
    shown, count = _LEADER.subn(" … ", text)
    size = max(cells, key=lambda cell: len(cell.text)).size
    return Line(
        text=" ".join(shown.split()),
        left=min(cell.left for cell in cells), right=max(cell.right for cell in cells),
        y=cells[0].y, size=size, bold=all(cell.bold for cell in cells), mono=all(cell.mono for cell in cells),
        leader=bool(count) and len(shown.split("…")) > 1 and any(map(str.isalpha, shown)), parts=len(cells),
    )  # fmt: skip


def _measure(lines: Sequence[Line]) -> None:
    """Fill in how much of their column lines fill, and what is between them."""
    if not lines:
        return
    rights = sorted(line.right for line in lines)
    left = sorted(line.left for line in lines)[len(lines) // 10]
    edge = rights[int(0.9 * (len(rights) - 1))]
    width = max(edge - left, 12 * median(line.size for line in lines))
    above: Line | None = None
    for line in lines:
        line.fill = min(1.0, max(0.0, (line.right - left) / width))
        line.indent = line.left - left
        if above is not None:
            line.gap = max(0.0, above.y - line.y)
        above = line


# --- tables


def _table_length(rows: Sequence[Sequence[Run]], position: int) -> int:
    """How many rows from here on are those of one table; 0 where it is none."""
    if len(rows[position]) < 2 or _is_leader(rows[position]):
        return 0
    end = position + 1
    columns = [(cell.left, cell.right) for cell in rows[position]]
    full = 1
    pitch = 0.0
    while end < len(rows):
        row, above = rows[end], rows[end - 1]
        gap = above[0].y - row[0].y
        if _is_leader(row) or gap > max(3.2 * row[0].size, 1.6 * pitch):
            break
        if len(row) >= 2:
            if not _fits(row, columns):
                break
            full += 1
            pitch = max(pitch, gap)
        elif not (_within(row[0], columns[1:]) and end + 1 < len(rows) and gap <= 1.6 * row[0].size):
            break
        columns = _widened(columns, row)
        end += 1
    while end > position and len(rows[end - 1]) < 2:
        end -= 1
    widest = max(len(row) for row in rows[position:end])
    lengths = [len(cell.text) for row in rows[position:end] for cell in row]
    if full < (2 if widest >= 3 else 3) or sum(lengths) / len(lengths) > 60:
        return 0
    return end - position


def _is_leader(row: Sequence[Run]) -> bool:
    text = " ".join(cell.text for cell in row)
    return bool(_LEADER.search(text)) or any(
        len(cell.text) > 3 and _LEADERS_ALONE.fullmatch(cell.text) for cell in row
    )


def _fits(row: Sequence[Run], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether at least two of the row's cells stand under a column each, and none under two of them."""
    under = 0
    for cell in row:
        slack = _ALIGNED * cell.size
        overlaps = [c for c in columns if cell.left < c[1] - slack and cell.right > c[0] + slack]
        if len(overlaps) > 1:
            return False
        under += any(
            abs(cell.left - left) < 2 * slack or abs(cell.right - right) < 2 * slack
            or abs(cell.left + cell.right - left - right) < 4 * slack
            for left, right in overlaps
        )  # fmt: skip
    return under >= min(2, len(row)) and under * 2 >= len(row)


def _within(cell: Run, columns: Sequence[tuple[float, float]]) -> bool:
    slack = _ALIGNED * cell.size
    return any(left - slack <= cell.left and cell.right <= right + 4 * slack for left, right in columns)


def _widened(columns: list[tuple[float, float]], row: Sequence[Run]) -> list[tuple[float, float]]:
    """The columns with the row's cells in them; a cell that is under none makes one of its own."""
    result = list(columns)
    for cell in row:
        for index, (left, right) in enumerate(result):
            if cell.left < right and cell.right > left:
                result[index] = min(left, cell.left), max(right, cell.right)
                break
        else:
            result.append((cell.left, cell.right))
    result.sort()
    merged: list[tuple[float, float]] = []
    for left, right in result:
        if merged and left < merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], right)
        else:
            merged.append((left, right))
    return merged


def _table_lines(rows: Sequence[Sequence[Run]], number: int) -> list[Line]:
    """A line a row; what goes on below within its cell is put to it."""
    columns: list[tuple[float, float]] = []
    for row in rows:
        columns = _widened(columns, row)
    gaps = [above[0].y - below[0].y for above, below in pairwise(rows)]
    usual = median(gaps) if gaps else 0.0
    lines: list[Line] = []
    for index, row in enumerate(rows):
        cells = [""] * len(columns)
        for cell in row:
            place = next(
                i
                for i, (left, right) in enumerate(columns)
                if cell.left < right + 0.01 and cell.right > left - 0.01
            )
            cells[place] = f"{cells[place]} {cell.text}".strip()
        goes_on = lines and not cells[0] and (
            all(not cell or cell[0].islower() for cell in cells) or gaps[index - 1] < 0.85 * usual or len(row) == 1
        )  # fmt: skip
        if goes_on:
            last = lines[-1]
            last.cells = tuple(f"{one} {two}".strip() for one, two in zip(last.cells, cells, strict=True))
            last.text = " | ".join(last.cells).rstrip(" |")
            last.y = row[0].y
            continue
        line = _line(row)
        line.cells, line.table, line.leader = tuple(cells), number, False
        line.text = " | ".join(cells).rstrip(" |")
        lines.append(line)
    return lines
