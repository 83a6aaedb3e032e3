"""What `secondlook evaluate` prints for people: figures, verdict, time, and the queries that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rerank.evaluation.comparison import Comparison, Contrast, Pair, Row
from rerank.judged.records import VERDICT_MEASURE, QueryGain
from ui.presentation.formatting import shortened

SHOWN = 5  # queries that are listed as losses, and as gains
NARROWEST = 80


def evaluation_table(comparison: Comparison, queries: Mapping[str, str], width: int = NARROWEST) -> str:
    """A comparison with one row for people: figures, verdict, time, and the queries that lost and gained most.

    ``queries`` holds the texts by id, ``width`` is that of the terminal in columns. Raises ``ValueError`` where there
    is no reranker's row to tell of.
    """
    row, models = comparison.main, next(iter(comparison.models.values()), None)
    if row is None or row.contrast is None or row.system.latency is None or models is None:
        raise ValueError("runs that others made have no models and times; see comparison_table")
    median, slow = row.system.latency
    moves = comparison.main_gains
    return "\n".join(
        [
            f"{comparison.name}, split {comparison.split}: {comparison.queries} queries, "
            f"{comparison.documents} documents, {row.system.depth} candidates",
            f"first look   {models.encoder.name}",
            f"second look  {models.reranker.name if models.reranker else 'none'}",
            "",
            *_figures(comparison.before.means, row.means, row.contrast),
            "",
            _verdict_sentence(row.contrast, moves),
            f"A search took {median:.0f} ms at the median and {slow:.0f} ms at the 95th percentile.",
            *_movers(moves, queries, width),
        ]
    )


def _figures(before: Mapping[str, float], after: Mapping[str, float], contrast: Contrast) -> list[str]:
    rows = [f"{'':<12}{'before':>8}{'after':>9}{'difference':>13}   {'95 % interval':<20}{'p':>7}"]
    for name, difference in contrast.differences.items():
        interval = f"[{difference.low:+.4f}, {difference.high:+.4f}]"
        rows.append(
            f"{name:<12}{before[name]:>8.4f}{after[name]:>9.4f}"
            f"{difference.mean:>+13.4f}   {interval:<20}{difference.p:>7.4f}"
        )
    return rows


def _verdict_sentence(contrast: Contrast, queries: Sequence[QueryGain]) -> str:
    """The verdict for people, with what it rests on."""
    difference = contrast.differences[VERDICT_MEASURE]
    moves = [query.gain for query in queries]
    counts = f"{sum(gain > 0 for gain in moves)} queries rose, {sum(gain < 0 for gain in moves)} fell"
    figures = f"{VERDICT_MEASURE} {difference.mean:+.4f}, p = {difference.p:.4f}; {counts}"
    if not any(moves):
        return f"Undecided: both orders score the same on every one of {len(moves)} queries."
    return {
        "helps": f"Reranking helps here: {figures}.",
        "hurts": f"Reranking hurts here: {figures}. Turn it off, or try another reranker.",
        "undecided": f"Undecided: {figures}. Chance alone could do that with {len(moves)} queries.",
    }[str(contrast.verdict)]


def comparison_table(comparison: Comparison, queries: Mapping[str, str], width: int = NARROWEST) -> str:
    """Several systems for people: a line each, what they rest on, and pairs where they were asked for.

    ``queries`` holds the texts by id, empty where they are not known; ``width`` is that of the terminal in columns.
    Queries that moved are those of the main
    comparison, which is named where there are others.
    """
    rows = (comparison.before, *comparison.rows)
    split = f", split {comparison.split}" if comparison.split else ""
    lines = [f"{comparison.name}{split}: {comparison.queries} queries, {comparison.documents} documents", ""]
    lines += _grid([_head(comparison), *map(_cells, rows, comparison.front)])
    lines += ["", *_reading(comparison)]
    if comparison.pairs:
        lines += ["", "Each with each other (nDCG@10, later less earlier)"]
        lines += _grid([_PAIR_HEAD, *map(_pair_cells, comparison.pairs)])
    main = comparison.main
    if main is not None:
        depth = f" over {main.system.depth}" if main.system.depth else ""
        of = f" of {main.system.title}{depth}" if len(comparison.rows) > 1 else ""
        lines += _movers(comparison.main_gains, queries, width, of)
    return "\n".join(lines)


_PAIR_WORDS = {"helps": "better", "hurts": "worse", "undecided": "undecided"}
_PAIR_HEAD = ["earlier", "later", "difference", "95 % interval", "p (Holm)", "later one"]


def _head(comparison: Comparison) -> list[str]:
    p = "p (Holm)" if len(comparison.rows) > 1 else "p"
    return [
        "system",
        "depth",
        *comparison.before.figures,
        "difference",
        "95 % interval",
        p,
        "verdict",
        "ms",
        "p95",
        "",
    ]


def _cells(row: Row, on_front: bool) -> list[str]:
    """A line of the table; a row of the frontier ends with a star."""
    latency = [f"{value:.0f}" for value in row.system.latency or ()] or ["–", "–"]
    means = [f"{value:.4f}" for value in row.means.values()]
    depth = str(row.system.depth) if row.system.depth else "–"
    star = "*" if on_front and row.system.latency else ""
    contrast = _contrast_cells(row.contrast) if row.contrast else ["–"] * 4
    return [row.system.title, depth, *means, *contrast, *latency, star]


def _pair_cells(pair: Pair) -> list[str]:
    *figures, verdict = _contrast_cells(pair.contrast)
    return [pair.earlier.title, pair.later.title, *figures, _PAIR_WORDS[verdict]]


def _contrast_cells(contrast: Contrast) -> list[str]:
    difference = contrast.differences[VERDICT_MEASURE]
    interval = f"[{difference.low:+.4f}, {difference.high:+.4f}]"
    return [
        f"{difference.mean:+.4f}",
        interval,
        f"{contrast.adjusted[VERDICT_MEASURE]:.4f}",
        str(contrast.verdict),
    ]


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _reading(comparison: Comparison) -> list[str]:
    """How the table is to be read: what the differences are of, how p was corrected, how time was measured."""
    if not comparison.rows:
        return ["One run alone: there is nothing to compare it with."]
    against = comparison.before.system.title
    count = len(comparison.rows)
    tested = f"{VERDICT_MEASURE} less that of {against}; 95 % bootstrap interval, paired randomisation test"
    lines = [
        f"Difference: {tested}, p corrected by Holm's method for {count} systems."
        if count > 1
        else f"Difference: {tested}."
    ]
    if comparison.before.system.latency:
        lines.append(
            "ms: median and 95th percentile of a query. Each reranker was timed once, over its deepest list; "
            "shorter lists have their share of its tokens."
        )
        lines.append("* on the frontier: nothing else is as good and quicker, or as quick and better.")
    return lines


def _movers(rows: Sequence[QueryGain], queries: Mapping[str, str], width: int, of: str = "") -> list[str]:
    """The queries whose nDCG@10 moved most, down and then up, the largest moves first; ``rows`` worst first.

    ``of`` says by what they moved, where that is not plain.
    """
    falling = [row for row in rows if row.gain < 0]
    rising = [row for row in reversed(rows) if row.gain > 0]
    return [
        *_listed(f"Worst losses{of}", falling, queries, width),
        *_listed(f"Best gains{of}", rising, queries, width),
    ]


def _listed(title: str, rows: Sequence[QueryGain], queries: Mapping[str, str], width: int) -> list[str]:
    if not rows:
        return ["", f"{title} (nDCG@10): none"]
    lines = ["", f"{title} (nDCG@10)"]
    for row in rows[:SHOWN]:
        question = shortened(f"{row.query} {queries.get(row.query, '')}", max(NARROWEST, width) - 28)
        lines.append(f"  {row.gain:+.4f}  {row.before:.4f} → {row.after:.4f}  {question}")
    return lines
