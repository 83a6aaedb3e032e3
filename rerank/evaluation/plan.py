"""What to evaluate, and how: every depth, first look and fusion of a reranker from one scoring of it.

The evaluation of one reranker is a comparison with one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.errors import ModelError
from ingest.library.library import Library
from ingest.models.spec import ModelSpec
from ingest.notices import Notice, NoticeKind
from rerank.evaluation.comparison import Comparison, compare_orders
from rerank.evaluation.ensemble import ensemble_systems
from rerank.evaluation.scoring import score_queries
from rerank.evaluation.systems import LOOKS, Scored, System, best_weight, first_look_of, systems_of
from rerank.judged.records import JudgedSet
from rerank.records import Models
from rerank.request import DEFAULT_CANDIDATES, SearchRequest
from rerank.search import OnProgress, Searcher
from retrieval.fusion import EQUAL_WEIGHT
from retrieval.records import CandidateSource

Openers = Mapping[str, Callable[[], Searcher]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare: every depth of every reranker, their fusions with the first look, each with each other.

    ``depths`` are numbers of candidates, each at least 1. ``sources`` are first looks, at least one: the others are
    held against the first one, and rerankers are given the candidates of each. ``ensemble`` adds fusions of all
    rerankers with the first look, where there are two or more.
    """

    depths: tuple[int, ...] = (DEFAULT_CANDIDATES,)
    fusion: bool = False
    pairs: bool = False
    sources: tuple[CandidateSource, ...] = (CandidateSource.VECTORS,)
    ensemble: bool = False

    @property
    def deepest(self) -> int:
        """How many candidates are scored."""
        return max(self.depths)


def evaluate(
    judged: JudgedSet,
    library: Library,
    searcher: Searcher,
    candidates: int = DEFAULT_CANDIDATES,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """One reranker against the first look, with ``candidates`` reranked: a comparison with one row.

    ``searcher`` answers on ``library``, which holds the set's documents. Raises `ModelError` where no reranker could
    be loaded, `UsageError` for a query that cannot be asked.
    """
    name = searcher.spec.name if searcher.spec is not None else ""
    return compare(judged, library, {name: lambda: searcher}, Plan((candidates,)), on_progress=on_progress)


def compare(
    judged: JudgedSet,
    library: Library,
    rerankers: Openers,
    plan: Plan,
    tuning: JudgedSet | None = None,
    *,
    on_progress: OnProgress | None = None,
    open_first_look: Callable[[], Searcher] | None = None,
) -> Comparison:
    """Every reranker of ``rerankers`` (opened one after the other) at every depth, from one scoring each.

    Without any, the first looks alone are compared, which ``open_first_look`` opens a searcher for.

    ``library`` holds the set's documents. ``tuning`` holds other queries on them, which choose the weight of a
    weighted fusion; without it the weight is even. ``on_progress`` hears how many queries are done, over all
    rerankers. Raises `ModelError`, `UsageError`, and `ValueError` without any reranker or ``open_first_look``.
    """
    parts = [judged, tuning] if plan.fusion and tuning is not None else [judged]
    runs = max(len(rerankers), 1) * len(plan.sources)
    report = _reporter(runs * sum(len(part.queries) for part in parts), on_progress)
    looks: dict[CandidateSource, System] = {}
    systems: list[System] = []
    all_scored: dict[CandidateSource, dict[str, Scored]] = {source: {} for source in plan.sources}
    models: dict[str, Models] = {}
    notices: dict[Notice, None] = dict.fromkeys(judged.notices)
    for name, open_searcher in rerankers.items():
        searcher = open_searcher()
        spec, model_notices = _spec_and_notices(judged, searcher)
        notices |= dict.fromkeys(model_notices)
        for source in plan.sources:
            scored, *tuned = [
                score_queries(part.queries, library, searcher, plan.deepest, report, source) for part in parts
            ]
            looks.setdefault(source, first_look_of(scored, source))
            all_scored[source][name] = scored
            share, on_share = _share(_called(name, source), plan, parts[1:], tuned)
            systems += systems_of(name, scored, plan.depths, spec.bi_weight, share, source)
            notices |= dict.fromkeys((*_failures(scored, _called(name, source)), *on_share))
        models[name] = searcher.models
    if plan.ensemble and len(rerankers) > 1:
        for source, scored_by in all_scored.items():
            systems += ensemble_systems(scored_by, plan.depths, source)
    if not rerankers:
        if open_first_look is None:
            raise ValueError("there is no reranker to compare with the first look")
        searcher = open_first_look()
        for source in plan.sources:
            scored = score_queries(judged.queries, library, searcher, 0, report, source)
            looks[source] = first_look_of(scored, source)
    first, *others = looks.values()
    comparison = compare_orders(judged.name, judged.qrels, first, [*others, *systems], pairs=plan.pairs)
    count = len(library.documents())
    return replace(comparison, split=judged.split, documents=count, models=models, notices=tuple(notices))


def _spec_and_notices(judged: JudgedSet, searcher: Searcher) -> tuple[ModelSpec, tuple[Notice, ...]]:
    """How the reranker's scores make its order, and what the searcher says of its models with every answer.

    Raises `ModelError` where there is no reranker.
    """
    any_query = next(iter(judged.queries.values()))
    notices = searcher.first_look(SearchRequest(any_query, 1)).notices
    if searcher.spec is None:
        why = " ".join(notice.text for notice in notices)
        advice = next((notice.help for notice in notices if notice.help is not None), None)
        raise ModelError(f"There is no second look to evaluate. {why}".strip(), advice)
    return searcher.spec, notices


def _failures(scored: Scored, reranker: str) -> tuple[Notice, ...]:
    """A notice of the queries that ``reranker`` failed on, with the reason of the first; none where it did not."""
    reasons = [query.failure for query in scored.values() if query.failure]
    if not reasons:
        return ()
    counts = (
        f"{len(reasons)} of {len(scored)} queries were not reranked by {reranker} and count as unchanged."
    )
    return (replace(reasons[0], kind=NoticeKind.UNSCORED, text=f"{counts} {reasons[0].text}"),)


def _called(name: str, source: CandidateSource) -> str:
    return name if source is CandidateSource.VECTORS else f"{name}, from {LOOKS[source]}"


def _share(
    name: str, plan: Plan, tuning: Sequence[JudgedSet], tuned: Sequence[Scored]
) -> tuple[float | None, tuple[Notice, ...]]:
    """The reranker's share in a weighted fusion (``None`` where none is wanted) and where it comes from."""
    if not plan.fusion:
        return None, ()
    if not tuned:
        even = (
            f"Weighted fusion with {name}: even weights, since no other split of the set could choose them."
        )
        return EQUAL_WEIGHT, (Notice(NoticeKind.WEIGHT, even),)
    (other,), (scored,) = tuning, tuned
    share = best_weight(scored, other.qrels, plan.deepest)
    text = (
        f"Weighted fusion with {name}: weight {share:g} of the reranker, chosen by nDCG@10 on {len(scored)} "
        f"queries of the split “{other.split}” at {plan.deepest} candidates."
    )
    return share, (Notice(NoticeKind.WEIGHT, text),)


def _reporter(total: int, on_progress: OnProgress | None) -> OnProgress:
    """Counts queries over all scorings, each of which counts its own."""
    done = 0

    def report(_: int, __: int) -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    return report
