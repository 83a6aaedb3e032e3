"""The record of an evaluation: each system against the first look, and in pairs, with p corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean

from ingest.notices import Notice
from rerank.evaluation.systems import Combination, System
from rerank.judged.measures import measure
from rerank.judged.records import VERDICT_MEASURE, Difference, Figures, QueryGain, Verdict, gains
from rerank.judged.significance import differences, holm, verdict
from rerank.records import Models


@dataclass(frozen=True, slots=True)
class Contrast:
    """One system less another. ``adjusted`` is Holm's p of each measure over all contrasts of the same table."""

    differences: Mapping[str, Difference]
    adjusted: Mapping[str, float]

    @property
    def verdict(self) -> Verdict:
        """By nDCG@10 and the corrected p."""
        main = self.differences[VERDICT_MEASURE]
        return verdict({VERDICT_MEASURE: replace(main, p=self.adjusted[VERDICT_MEASURE])})


@dataclass(frozen=True, slots=True)
class Row:
    """A system with its figures, and what it changes against the first look (``None`` for that itself)."""

    system: System
    figures: Figures
    contrast: Contrast | None = None

    @property
    def means(self) -> dict[str, float]:
        """Every measure, over all queries."""
        return {name: fmean(values.values()) for name, values in self.figures.items()}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems of the deepest lists: ``later`` less ``earlier``."""

    earlier: System
    later: System
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one or several systems do to the same queries.

    ``name`` is the dataset's (or the qrels file's) and ``split`` the judged part of it. ``queries`` counts those
    that are judged, ``documents`` those of the library, or of all runs together. ``models`` goes by the
    rerankers' names, and is empty for runs that others made.
    """

    name: str
    queries: int
    documents: int
    before: Row
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...] = ()
    split: str = ""
    models: Mapping[str, Models] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    @property
    def main(self) -> Row | None:
        """The first reranker as it is shipped, with the deepest list; ``None`` where there is only one run."""
        rows = [row for row in self.rows if row.system.depth] or self.rows
        first = rows[0].system if rows else None
        own = [
            row
            for row in rows
            if first is not None
            and (row.system.name, row.system.source) == (first.name, first.source)
            and row.system.combination is Combination.SHIPPED
        ]
        return max(own, key=lambda row: row.system.depth, default=None)

    @property
    def main_gains(self) -> list[QueryGain]:
        """nDCG@10 of every query in the first look and in ``main``, the worst losses first; none without ``main``."""
        return gains(self.before.figures, self.main.figures) if self.main else []

    @property
    def front(self) -> tuple[bool, ...]:
        """For the first look and then each row: whether no other is both quicker (median) and better (nDCG@10)."""
        points = [
            (row.system.latency[0] if row.system.latency else float("inf"), row.means[VERDICT_MEASURE])
            for row in (self.before, *self.rows)
        ]
        return tuple(pareto_front(points))


def compare_orders(
    name: str, qrels: Mapping[str, Mapping[str, int]], first: System, others: Sequence[System], *, pairs: bool
) -> Comparison:
    """Measure systems whose orders are there already: ``first`` is what each of ``others`` is held against.

    All queries of ``qrels`` count; one that a system did not answer is 0, as with trec_eval's option -c.
    ``pairs`` adds each of the deepest with each other.
    """
    before = measure(qrels, first.orders)
    figures = [measure(qrels, system.orders) for system in others]
    contrasts = _contrasts([(before, after) for after in figures])
    deepest = max((system.depth for system in others), default=0)
    deepest_places = [place for place, system in enumerate(others) if pairs and system.depth == deepest]
    couples = list(combinations(deepest_places, 2))
    paired = _contrasts([(figures[one], figures[other]) for one, other in couples])
    documents = {d for system in (first, *others) for order in system.orders.values() for d in order}
    return Comparison(
        name,
        len(qrels),
        len(documents),
        Row(first, before),
        tuple(map(Row, others, figures, contrasts)),
        tuple(Pair(others[a], others[b], contrast) for (a, b), contrast in zip(couples, paired, strict=True)),
    )


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether no other point (cost, gain) is at least as good in both and better in one."""
    return [
        not any(
            other != point and other[0] <= point[0] and other[1] >= point[1] for other in points
        )
        for point in points
    ]  # fmt: skip


def _contrasts(couples: Sequence[tuple[Figures, Figures]]) -> list[Contrast]:
    """Later less earlier of each couple, every measure's p corrected over all couples."""
    rows = [differences(earlier, later) for earlier, later in couples]
    adjusted = {name: holm([row[name].p for row in rows]) for name in (rows[0] if rows else ())}
    return [Contrast(row, {name: adjusted[name][place] for name in row}) for place, row in enumerate(rows)]
