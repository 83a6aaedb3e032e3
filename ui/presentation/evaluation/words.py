"""What the Evaluate view says of an evaluation: the verdict, the progress, the questions that moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rerank.evaluation.comparison import Comparison, Row
from rerank.evaluation.systems import System
from rerank.judged.records import VERDICT_MEASURE, Difference, JudgedSet, Verdict, gains
from retrieval.records import CandidateSource
from ui.presentation.formatting import count_of, duration

# Fewer questions are too few to speak for others, whatever they say; so the running verdict has it too.
FEW = 10

HOW_TO_READ = (
    "The top line is a first look: the bi-encoder’s order, where it names nothing else. A line with a depth reranks so "
    "many of the first look’s passages and leaves the rest behind them as they were; the candidates of one that says "
    "“from” were found by that first look. Words (BM25) find by the question’s own words; RRF fuses both orders by "
    "reciprocal rank.",
    "nDCG@10 goes from 0 to 1: how much of what is relevant stands in the first ten places, and how high. MRR@10 is "
    "one over the place of the first relevant document, success@1 how often the first place is relevant, recall@100 "
    "how much of what is relevant the first look found at all: no reranker can find the rest.",
    "Difference is nDCG@10 less that of the top line, over the same questions. The interval (bootstrap) says where "
    "the difference lies for questions like these, in 95 of 100 such evaluations; where it crosses 0, either order "
    "may be the better one.",
    "p says how often chance alone would make a difference this large (paired randomisation test). A verdict needs p "
    "below 0.05; where several systems are compared, p is corrected for their number (Holm’s method).",
    "Time is that of one search, the median over the questions. A star marks the frontier: nothing else is as good "
    "and quicker, or as quick and better.",
    "Documents that nobody judged count as not relevant, as trec_eval has it. Choose settings on one split and report "
    "on another: what is chosen on the questions that are reported looks better than it is.",
)


def verdict_words(comparison: Comparison) -> str:
    """The verdict on the first reranker's deepest list, or the second first look alone, in one plain sentence."""
    row = _main(comparison)
    moved = any(verdict.gain for verdict in gains(comparison.before.figures, row.figures))
    questions = count_of(comparison.queries, "question")
    if not moved:
        return f"Undecided: both orders score the same on every one of {questions}."
    verdict = row.contrast.verdict if row.contrast else Verdict.UNDECIDED
    if verdict is Verdict.UNDECIDED:
        return f"Undecided: chance alone could make such a difference with {questions}."
    if not row.system.depth:
        best, other = row.system, comparison.before.system
        if verdict is Verdict.HURTS:
            best, other = other, best
        return f"These questions are answered better by {_look(best)} than by {_look(other)}."
    if verdict is Verdict.HURTS:
        return "Reranking hurts here: the first look alone answers these questions better."
    return "Reranking helps here: it answers these questions better than the first look alone."


def evidence(comparison: Comparison) -> list[str]:
    """What the verdict rests on, sentence by sentence."""
    row, before = _main(comparison), comparison.before
    moves = gains(before.figures, row.figures)
    rose, fell = sum(move.gain > 0 for move in moves), sum(move.gain < 0 for move in moves)
    lines = [
        f"{_named(row)}: {VERDICT_MEASURE} {figure(before.means[VERDICT_MEASURE])} → "
        f"{figure(row.means[VERDICT_MEASURE])}, {_tested(row, len(comparison.rows))}. Of "
        f"{count_of(len(moves), 'question')}, {rose} rose, {fell} fell, {len(moves) - rose - fell} stayed."
    ]
    if before.system.latency and row.system.latency:
        lines.append(
            f"A search takes {duration(row.system.latency[0])} instead of {duration(before.system.latency[0])} "
            "(medians)."
        )
    if len(comparison.rows) > 1:
        lines.append(_best(comparison, row))
    if comparison.queries < FEW:
        lines.append(f"{count_of(comparison.queries, 'question')} cannot speak for others; judge more.")
    return lines


def _main(comparison: Comparison) -> Row:
    """The row that the verdict is about. Raises `ValueError` where nothing was compared with the first look."""
    if comparison.main is None:
        raise ValueError("an evaluation in the page always compares two systems")
    return comparison.main


def _tested(row: Row, systems: int) -> str:
    if row.contrast is None:
        return "not tested"
    difference, p = row.contrast.differences[VERDICT_MEASURE], row.contrast.adjusted[VERDICT_MEASURE]
    corrected = f" (corrected for {systems} systems)" if systems > 1 else ""
    return f"a difference of {signed(difference.mean)}, 95 % interval {interval(difference)}, p {p_words(p)}{corrected}"


def _best(comparison: Comparison, main: Row) -> str:
    top = max(comparison.rows, key=lambda row: row.means[VERDICT_MEASURE])
    value = figure(top.means[VERDICT_MEASURE])
    if top.means[VERDICT_MEASURE] <= comparison.before.means[VERDICT_MEASURE]:
        first = _look(comparison.before.system)
        return f"None of the {len(comparison.rows)} systems scores higher than {first}."
    if top is main:
        return f"None of the {len(comparison.rows)} systems scores higher than this one."
    verdict = top.contrast.verdict if top.contrast else Verdict.UNDECIDED
    return f"Highest of the {len(comparison.rows)} systems: {_named(top)}, {VERDICT_MEASURE} {value} ({verdict})."


def _look(system: System) -> str:
    """A first look as a sentence names it."""
    return f"the {system.title}" if system.source is CandidateSource.VECTORS else system.title


def _named(row: Row) -> str:
    return f"{row.system.title} at depth {row.system.depth}" if row.system.depth else row.system.title


def system_names(comparison: Comparison) -> list[str]:
    """The compared systems for people, in the order of the rows."""
    return [_named(row) for row in comparison.rows]


def figure(value: float) -> str:
    """A measure in three decimals."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """A difference in three decimals, with a true minus sign; no sign where it rounds to nothing."""
    text = f"{abs(value):.3f}"
    return text if not float(text) else f"{'−' if value < 0 else '+'}{text}"


def interval(difference: Difference) -> str:
    """The 95 % interval: "−0.012 to +0.034"."""
    return f"{signed(difference.low)} to {signed(difference.high)}"


def p_words(p: float) -> str:
    """A p-value in words that fit behind "p": "= 0.032", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def documents_words(count: int) -> str:
    """How many documents: "1 document", "200,000 documents"."""
    return "1 document" if count == 1 else f"{count:,} documents"


@dataclass(frozen=True, slots=True)
class Mover:
    """A question that one system moved: nDCG@10 in both orders, and where the first relevant document stood."""

    query: str
    text: str
    before: float
    after: float
    places: str

    @property
    def badge(self) -> str:
        """The change for the eye, told apart by more than colour: "▼ −0.631"."""
        return f"{'▲' if self.after > self.before else '▼'} {signed(self.after - self.before)}"

    @property
    def figures(self) -> str:
        """Both figures: "1.000 → 0.369"."""
        return f"{figure(self.before)} → {figure(self.after)}"


def movers(judged: JudgedSet, comparison: Comparison, row: Row) -> tuple[list[Mover], list[Mover]]:
    """The questions that fell, the worst losses first, and those that rose, the largest gains first."""
    all_movers = [
        Mover(
            gain.query, judged.queries[gain.query], gain.before, gain.after,
            _places(judged.qrels[gain.query], comparison.before, row, gain.query),
        )
        for gain in gains(comparison.before.figures, row.figures)
        if gain.gain
    ]  # fmt: skip
    fell = [mover for mover in all_movers if mover.after < mover.before]
    rose = [mover for mover in all_movers if mover.after > mover.before]
    return fell, sorted(rose, key=lambda mover: mover.before - mover.after)


def _places(grades: Mapping[str, int], before: Row, after: Row, query: str) -> str:
    first, second = (_first_relevant(row.system.orders.get(query, ()), grades) for row in (before, after))
    # Spaces that do not break keep the arrow and its numbers on one line.
    return f"first relevant at\u00a0{first}\u00a0→\u00a0{second}" if first and second else ""


def _first_relevant(order: tuple[str, ...], grades: Mapping[str, int]) -> int | None:
    return next((place for place, name in enumerate(order, start=1) if grades.get(name, 0) > 0), None)
