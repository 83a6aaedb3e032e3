"""Systems: a reranker, how its scores are combined with the first look's, and how deep it goes.

All systems of one reranker are made from one scoring: only the first ``depth`` candidates are ordered anew, the
others follow in the first order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from rerank.evaluation.measures import measure
from rerank.evaluation.records import VERDICT_MEASURE
from rerank.evaluation.scoring import ScoredQuery, best_passages
from rerank.fusion import EQUAL_WEIGHT, mixed, places, reciprocal_rank, weighted

# Shares of the reranker's standardised score that a training split may choose from; 0 is the first look alone.
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))

Scores = NDArray[np.floating]
Combine = Callable[[NDArray[np.float32], NDArray[np.float32]], Scores]
Scored = Mapping[str, ScoredQuery]
Orders = Mapping[str, tuple[str, ...]]


class Combination(StrEnum):
    """How the reranker's scores and the first look's make one order."""

    SHIPPED = "as shipped"
    ALONE = "logit alone"
    WEIGHTED = "weighted"
    RECIPROCAL = "reciprocal rank"


@dataclass(frozen=True, slots=True)
class System:
    """One way to order the documents, with the orders and times that it gave, by query id.

    ``name`` is the reranker's (or the run file's). ``depth`` counts the candidates that were reranked, 0 for
    none and for runs that others made, whose times (``milliseconds``, empty) are not known. ``weight`` is the
    reranker's share in a weighted fusion, else ``None``.
    """

    name: str
    orders: Orders
    milliseconds: Mapping[str, float]
    depth: int = 0
    combination: Combination = Combination.SHIPPED
    weight: float | None = None

    @property
    def title(self) -> str:
        """Name and combination, for people: “bundled + reciprocal rank”."""
        if self.combination is Combination.SHIPPED:
            return self.name
        if self.combination is Combination.ALONE:
            return f"{self.name}, {self.combination}"
        share = "" if self.weight is None else f" {self.weight:g}"
        return f"{self.name} + {self.combination}{share}"

    @property
    def latency(self) -> tuple[float, float] | None:
        """Median and 95th percentile of the milliseconds of a query, ``None`` where they are not known."""
        if not self.milliseconds:
            return None
        median, slow = np.percentile(list(self.milliseconds.values()), [50, 95])
        return float(median), float(slow)


def first_look_of(scored: Scored) -> System:
    """The bi-encoder's order, alone."""
    return System(
        "first look",
        {query: best_passages(found.documents) for query, found in scored.items()},
        {query: found.look_ms for query, found in scored.items()},
    )


def systems_of(
    name: str, scored: Scored, depths: Sequence[int], bi_weight: float, fusion_weight: float | None
) -> list[System]:
    """Every depth of one reranker as it is shipped, and with ``fusion_weight`` its fusions too.

    ``bi_weight`` is the weight of the cosine in the shipped order; where it is not 0, the fusions are joined by
    the order of the logit alone. Fusions combine the cosine with the logit alone.
    """
    combinations: dict[Combination, Combine] = {
        Combination.SHIPPED: lambda logits, cosines: mixed(logits, cosines, bi_weight)
    }
    if fusion_weight is not None:
        share = fusion_weight
        if bi_weight:
            combinations[Combination.ALONE] = lambda logits, cosines: logits
        combinations[Combination.WEIGHTED] = lambda logits, cosines: weighted(cosines, logits, share)
        combinations[Combination.RECIPROCAL] = lambda logits, cosines: reciprocal_rank((cosines, logits))
    return [
        System(
            name,
            orders_by(scored, depth, combine),
            {query: found.milliseconds(depth) for query, found in scored.items()},
            depth,
            combination,
            fusion_weight if combination is Combination.WEIGHTED else None,
        )
        for combination, combine in combinations.items()
        for depth in depths
    ]


def orders_by(scored: Scored, depth: int, combine: Combine) -> dict[str, tuple[str, ...]]:
    """Documents by ``combine``'s scores of the first ``depth`` candidates, the others behind them as they were.

    ``combine`` is given logits and cosines, both (d,), and gives (d,) scores. Where there are no logits, the first
    order stands.
    """
    orders = {}
    for query, found in scored.items():
        logits = found.logits[:depth]
        ranked = places(combine(logits, found.cosines[: len(logits)])).tolist()
        documents = [found.documents[row] for row in ranked]
        orders[query] = best_passages((*documents, *found.documents[len(logits) :]))
    return orders


def best_weight(scored: Scored, qrels: Mapping[str, Mapping[str, int]], depth: int) -> float:
    """The share of the reranker in `weighted` fusion with the highest mean nDCG@10 on these queries.

    Of equals the one nearest to even shares: the queries say nothing between them. They must not be those
    that are reported.
    """
    judged = {query: qrels[query] for query in scored}

    def quality(share: float) -> float:
        orders = orders_by(scored, depth, lambda logits, cosines: weighted(cosines, logits, share))
        return fmean(measure(judged, orders, (VERDICT_MEASURE,))[VERDICT_MEASURE].values())

    return max(WEIGHTS, key=lambda share: (round(quality(share), 6), -abs(share - EQUAL_WEIGHT)))
