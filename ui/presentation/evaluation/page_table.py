"""The table of the Evaluate view as HTML. Pure."""

from __future__ import annotations

import html

from rerank.evaluation.comparison import Comparison, Row
from rerank.judged.records import VERDICT_MEASURE
from ui.presentation.evaluation.words import figure, interval, p_words, signed
from ui.presentation.formatting import duration


def table_html(comparison: Comparison) -> str:
    """The systems as an HTML table, the first look on top; every word in it is escaped."""
    _, *others = comparison.before.figures
    p = "p (Holm)" if len(comparison.rows) > 1 else "p"
    names = ["system", "depth", VERDICT_MEASURE, "difference", "95 % interval", p, "verdict", "time", *others]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "".join(
        _line(row, others, on_front=on_front)
        for row, on_front in zip((comparison.before, *comparison.rows), comparison.front, strict=True)
    )
    return (
        '<div class="figures" tabindex="0" role="region" aria-label="Systems compared"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _line(row: Row, others: list[str], *, on_front: bool) -> str:
    means, latency = row.means, row.system.latency
    star = ' <span title="on the frontier">★</span>' if on_front and latency else ""
    cells = [
        str(row.system.depth or "–"), figure(means[VERDICT_MEASURE]), *_contrast_cells(row),
        duration(latency[0]) if latency else "–", *(figure(means[name]) for name in others),
    ]  # fmt: skip
    marked = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    kind = f' class="{row.contrast.verdict}"' if row.contrast else ""
    return f'<tr{kind}><th scope="row">{html.escape(row.system.title)}{star}</th>{marked}</tr>'


def _contrast_cells(row: Row) -> list[str]:
    if row.contrast is None:
        return ["–"] * 4
    difference, p = row.contrast.differences[VERDICT_MEASURE], row.contrast.adjusted[VERDICT_MEASURE]
    return [
        signed(difference.mean),
        interval(difference),
        p_words(p).removeprefix("= "),
        str(row.contrast.verdict),
    ]
