"""Several rerankers fused with the first look they share: systems of them all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rerank.evaluation.scoring import ScoredQuery, best_passages
from rerank.evaluation.systems import Combination, Scored, System
from retrieval.fusion import Fusion, places
from retrieval.records import CandidateSource

# What a search calls weighted and rrf.
WAYS = {Combination.WEIGHTED: Fusion(()), Combination.RECIPROCAL: Fusion()}


def ensemble_systems(
    rerankers: Mapping[str, Scored],
    depths: Sequence[int],
    source: CandidateSource = CandidateSource.VECTORS,
) -> list[System]:
    """Every depth of all ``rerankers`` and the first look as one order: by even weights, and by reciprocal rank.

    Even weights are the mean of the standardised scores of all (CombSUM of Fox and Shaw, 1994). A query that one
    reranker failed at is fused from the others. Orders are those of a search that fuses the same scores (see
    `rerank.ensemble`). Raises `ValueError` where they did not score the same candidates.
    """
    queries = {
        query: [scored[query] for scored in rerankers.values()] for query in next(iter(rerankers.values()))
    }
    return [
        System(
            " and ".join(rerankers),
            {query: _order(each, depth, fusion) for query, each in queries.items()},
            {query: _milliseconds(each, depth) for query, each in queries.items()},
            depth,
            way,
            source=source,
        )
        for way, fusion in WAYS.items()
        for depth in depths
    ]


def _order(each: Sequence[ScoredQuery], depth: int, fusion: Fusion) -> tuple[str, ...]:
    documents = each[0].documents
    if any(scored.documents != documents for scored in each):
        raise ValueError("rerankers that are fused must have scored the same candidates")
    logits = [scored.logits[:depth] if len(scored.logits) else None for scored in each]
    count = next((len(scored) for scored in logits if scored is not None), 0)
    if not count:
        return best_passages(documents)
    ranked = places(fusion.fused(each[0].ordered_by[:count], *logits)).tolist()
    return best_passages((*(documents[row] for row in ranked), *documents[count:]))


def _milliseconds(each: Sequence[ScoredQuery], depth: int) -> float:
    """One first look, and the reading of each reranker after the other."""
    return each[0].look_ms + sum(scored.milliseconds(depth) - scored.look_ms for scored in each)
