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

from rerank.evaluation.scoring import ScoredQuery, best_passages
from rerank.judged.measures import measure
from rerank.judged.records import VERDICT_MEASURE
from retrieval.fusion import EQUAL_WEIGHT, mixed, places, reciprocal_rank, weighted
from retrieval.records import CandidateSource

# Shares of the reranker's standardised score that a training split may choose from; 0 is the first look alone.
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))

Scores = NDArray[np.floating]
Combine = Callable[[NDArray[np.float32], NDArray[np.float32]], Scores]
Scored = Mapping[str, ScoredQuery]
Orders = Mapping[str, tuple[str, ...]]


# A first look alone, as a system, and the candidates of a reranked one.
LOOKS = {
    CandidateSource.VECTORS: "first look",
    CandidateSource.WORDS: CandidateSource.WORDS.in_words,
    CandidateSource.BOTH: f"{CandidateSource.BOTH.in_words} (RRF)",
}


class Combination(StrEnum):
    """How the reranker's scores and the first look's make one order."""

    SHIPPED = "as shipped"
    ALONE = "logit alone"
    WEIGHTED = "weighted"
    RECIPROCAL = "reciprocal rank"


FUSIONS = frozenset({Combination.WEIGHTED, Combination.RECIPROCAL})


@dataclass(frozen=True, slots=True)
class System:
    """One way to order the documents, with the orders and times that it gave, by query id.

    ``name`` is the reranker's (or the run file's). ``depth`` counts the candidates that were reranked, 0 for
    none and for runs that others made, whose times (``milliseconds``, empty) are not known. ``weight`` is the
    reranker's share in a weighted fusion, else ``None``. ``source`` is what the candidates were found by.
    """

    name: str
    orders: Orders
    milliseconds: Mapping[str, float]
    depth: int = 0
    combination: Combination = Combination.SHIPPED
    weight: float | None = None
    source: CandidateSource = CandidateSource.VECTORS

    @property
    def title(self) -> str:
        """Name, combination and candidates, for people: “bundled + reciprocal rank, from words (BM25)”."""
        return f"{self.recipe}, {self.found_by}" if self.found_by else self.recipe

    @property
    def recipe(self) -> str:
        """Name and combination, for people: “bundled + reciprocal rank”."""
        if self.combination is Combination.SHIPPED:
            return self.name
        if self.combination is Combination.ALONE:
            return f"{self.name}, {self.combination}"
        share = "" if self.weight is None else f" {self.weight:g}"
        return f"{self.name} + {self.combination}{share}"

    @property
    def found_by(self) -> str:
        """What found the candidates, “from words (BM25)”; empty for vectors, and where nothing is reranked."""
        plain = self.source is CandidateSource.VECTORS or not self.depth
        return "" if plain else f"from {LOOKS[self.source]}"

    @property
    def latency(self) -> tuple[float, float] | None:
        """Median and 95th percentile of the milliseconds of a query, ``None`` where they are not known."""
        if not self.milliseconds:
            return None
        median, slow = np.percentile(list(self.milliseconds.values()), [50, 95])
        return float(median), float(slow)


def first_look_of(scored: Scored, source: CandidateSource = CandidateSource.VECTORS) -> System:
    """The first look's order, alone."""
    return System(
        LOOKS[source],
        {query: best_passages(row.documents) for query, row in scored.items()},
        {query: row.look_ms for query, row in scored.items()},
        source=source,
    )


def systems_of(
    name: str,
    scored: Scored,
    depths: Sequence[int],
    bi_weight: float,
    fusion_weight: float | None,
    source: CandidateSource = CandidateSource.VECTORS,
) -> list[System]:
    """Every depth of one reranker as it is shipped, and with ``fusion_weight`` its fusions too.

    ``bi_weight`` is the weight of the cosine in the shipped order; where it is not 0, the fusions are joined by
    the order of the logit alone. Fusions combine what the first look ordered by with the logit alone.
    """
    combinations: dict[Combination, Combine] = {
        Combination.SHIPPED: lambda logits, cosines: mixed(logits, cosines, bi_weight)
    }
    if fusion_weight is not None:
        share = fusion_weight
        if bi_weight:
            combinations[Combination.ALONE] = lambda logits, cosines: logits
        combinations[Combination.WEIGHTED] = lambda logits, firsts: weighted(firsts, logits, share)
        combinations[Combination.RECIPROCAL] = lambda logits, firsts: reciprocal_rank((firsts, logits))
    return [
        System(
            name,
            orders_by(scored, depth, combine, fused=combination in FUSIONS),
            {query: row.milliseconds(depth) for query, row in scored.items()},
            depth,
            combination=combination,
            weight=fusion_weight if combination is Combination.WEIGHTED else None,
            source=source,
        )
        for combination, combine in combinations.items()
        for depth in depths
    ]


def orders_by(
    scored: Scored, depth: int, combine: Combine, *, fused: bool = False
) -> dict[str, tuple[str, ...]]:
    """Documents by ``combine``'s scores of the first ``depth`` candidates, the others behind them as they were.

    ``combine`` is given logits and cosines, both (d,), and gives (d,) scores; one that is ``fused`` is given what the
    first look ordered by in place of the cosines. Where there are no logits, the first order stands.
    """
    orders = {}
    for query, scores in scored.items():
        logits = scores.logits[:depth]
        firsts = scores.ordered_by if fused else scores.cosines
        ranked = places(combine(logits, firsts[: len(logits)])).tolist()
        documents = [scores.documents[row] for row in ranked]
        orders[query] = best_passages((*documents, *scores.documents[len(logits) :]))
    return orders


def best_weight(scored: Scored, qrels: Mapping[str, Mapping[str, int]], depth: int) -> float:
    """The share of the reranker in `weighted` fusion with the highest mean nDCG@10 on these queries.

    Of equals the one nearest to even shares: the queries say nothing between them. They must not be those
    that are reported.
    """
    judged = {query: qrels[query] for query in scored}

    def quality(share: float) -> float:
        orders = orders_by(scored, depth, lambda logits, firsts: weighted(firsts, logits, share), fused=True)
        return fmean(measure(judged, orders, (VERDICT_MEASURE,))[VERDICT_MEASURE].values())

    return max(WEIGHTS, key=lambda share: (round(quality(share), 6), -abs(share - EQUAL_WEIGHT)))
