"""Several systems on the same queries: each against the first look, and in pairs, with p corrected for their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean

from ingest.library import Library
from rerank.evaluation.measures import measure
from rerank.evaluation.records import VERDICT_MEASURE, Difference, Figures, JudgedSet, Verdict
from rerank.evaluation.run import failures, ready
from rerank.evaluation.scoring import score_queries
from rerank.evaluation.significance import differences, holm, verdict
from rerank.evaluation.systems import (
    LOOKS,
    Combination,
    Scored,
    System,
    best_weight,
    first_look_of,
    systems_of,
)
from rerank.fusion import EQUAL_WEIGHT
from rerank.records import Models
from rerank.search import DEFAULT_CANDIDATES, OnProgress, Searcher
from retrieval.records import CandidateSource

Openers = Mapping[str, Callable[[], Searcher]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare: every depth of every reranker, their fusions with the first look, each with each other.

    ``depths`` are numbers of candidates, each at least 1. ``sources`` are first looks, at least one: the others are
    held against the first one, and rerankers are given the candidates of each.
    """

    depths: tuple[int, ...] = (DEFAULT_CANDIDATES,)
    fusion: bool = False
    pairs: bool = False
    sources: tuple[CandidateSource, ...] = (CandidateSource.VECTORS,)

    @property
    def deepest(self) -> int:
        """How many candidates are scored."""
        return max(self.depths)

    @property
    def listed(self) -> int:
        """How many are retrieved: recall@100 needs a hundred, however few are reranked."""
        return max(DEFAULT_CANDIDATES, self.deepest)


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
    """What several systems do to the same queries.

    ``name`` is the dataset's (or the qrels file's) and ``split`` the judged part of it. ``queries`` counts those
    that are judged, ``documents`` those of the library, or of all runs together. ``models`` goes by the
    rerankers' names, and is empty for runs that others made. ``notices`` are sentences.
    """

    name: str
    queries: int
    documents: int
    before: Row
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...] = ()
    split: str = ""
    models: Mapping[str, Models] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

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
    def front(self) -> tuple[bool, ...]:
        """For the first look and then each row: whether no other is both quicker (median) and better (nDCG@10)."""
        points = [
            (row.system.latency[0] if row.system.latency else float("inf"), row.means[VERDICT_MEASURE])
            for row in (self.before, *self.rows)
        ]
        return tuple(pareto_front(points))


def compare(
    judged: JudgedSet,
    library: Library,
    rerankers: Openers,
    plan: Plan,
    tuning: JudgedSet | None = None,
    on_progress: OnProgress | None = None,
    looker: Callable[[], Searcher] | None = None,
) -> Comparison:
    """Every reranker of ``rerankers`` (opened one after the other) at every depth, from one scoring each.

    Without any, the first looks alone are compared, which ``looker`` opens a searcher for.

    ``library`` holds the set's documents. ``tuning`` holds other queries on them, which choose the weight of a
    weighted fusion; without it the weight is even. ``on_progress`` hears how many queries are done, over all
    rerankers. Raises `ModelError`, `UsageError`, and `ValueError` without any reranker or ``looker``.
    """
    parts = [judged, tuning] if plan.fusion and tuning is not None else [judged]
    runs = max(len(rerankers), 1) * len(plan.sources)
    report = _reporter(runs * sum(len(part.queries) for part in parts), on_progress)
    looks: dict[CandidateSource, System] = {}
    systems: list[System] = []
    models: dict[str, Models] = {}
    notices: dict[str, None] = dict.fromkeys(judged.notices)
    for name, open_searcher in rerankers.items():
        searcher = open_searcher()
        spec, said = ready(judged, searcher)
        notices |= dict.fromkeys(said)
        for source in plan.sources:
            scored, *tuned = [
                score_queries(part.queries, library, searcher, plan.deepest, plan.listed, report, source)
                for part in parts
            ]
            looks.setdefault(source, first_look_of(scored, source))
            share, on_share = _share(_called(name, source), plan, parts[1:], tuned)
            systems += systems_of(name, scored, plan.depths, spec.bi_weight, share, source)
            notices |= dict.fromkeys((*failures(scored), *on_share))
        models[name] = searcher.models
    if not rerankers:
        if looker is None:
            raise ValueError("there is no reranker to compare with the first look")
        searcher = looker()
        for source in plan.sources:
            scored = score_queries(judged.queries, library, searcher, 0, plan.listed, report, source)
            looks[source] = first_look_of(scored, source)
    first, *others = looks.values()
    found = compare_orders(judged.name, judged.qrels, first, [*others, *systems], pairs=plan.pairs)
    count = len(library.documents())
    return replace(found, split=judged.split, documents=count, models=models, notices=tuple(notices))


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
    chosen = [place for place, system in enumerate(others) if pairs and system.depth == deepest]
    couples = list(combinations(chosen, 2))
    paired = _contrasts([(figures[one], figures[other]) for one, other in couples])
    documents = {d for system in (first, *others) for order in system.orders.values() for d in order}
    return Comparison(
        name,
        len(qrels),
        len(documents),
        Row(first, before),
        tuple(map(Row, others, figures, contrasts)),
        tuple(Pair(others[a], others[b], found) for (a, b), found in zip(couples, paired, strict=True)),
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
    found = [differences(earlier, later) for earlier, later in couples]
    adjusted = {name: holm([row[name].p for row in found]) for name in (found[0] if found else ())}
    return [Contrast(row, {name: adjusted[name][place] for name in row}) for place, row in enumerate(found)]


def _called(name: str, source: CandidateSource) -> str:
    return name if source is CandidateSource.VECTORS else f"{name}, from {LOOKS[source]}"


def _share(
    name: str, plan: Plan, tuning: Sequence[JudgedSet], tuned: Sequence[Scored]
) -> tuple[float | None, tuple[str, ...]]:
    """The reranker's share in a weighted fusion (``None`` where none is wanted) and where it comes from."""
    if not plan.fusion:
        return None, ()
    if not tuned:
        return EQUAL_WEIGHT, (
            f"Weighted fusion with {name}: even weights, since no other split of the set could choose them.",
        )
    (other,), (scored,) = tuning, tuned
    share = best_weight(scored, other.qrels, plan.deepest)
    return share, (
        f"Weighted fusion with {name}: weight {share:g} of the reranker, chosen by nDCG@10 on {len(scored)} "
        f"queries of the split “{other.split}” at {plan.deepest} candidates.",
    )


def _reporter(total: int, on_progress: OnProgress | None) -> OnProgress:
    """Counts queries over all scorings, each of which counts its own."""
    done = 0

    def report(_: int, __: int) -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    return report
