"""Several rerankers fused with the first look they share: systems of them all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rerank.evaluation.scoring import ScoredQuery, best_passages
from rerank.evaluation.systems import Combination, Scored, Scores, System
from rerank.fusion import places, reciprocal_rank, standardised
from retrieval.records import CandidateSource

Fuse = Callable[[Sequence[NDArray[np.float32]]], Scores]


def systems_together(
    rerankers: Mapping[str, Scored],
    depths: Sequence[int],
    source: CandidateSource = CandidateSource.VECTORS,
) -> list[System]:
    """Every depth of all ``rerankers`` and the first look as one order: by even weights, and by reciprocal rank.

    Even weights are the mean of the standardised scores of all (CombSUM of Fox and Shaw, 1994). A query that one
    reranker failed at is fused from the others. Raises `ValueError` where they did not score the same candidates.
    """
    ways: dict[Combination, Fuse] = {
        Combination.WEIGHTED: _even,
        Combination.RECIPROCAL: reciprocal_rank,
    }
    queries = {
        query: [scored[query] for scored in rerankers.values()] for query in next(iter(rerankers.values()))
    }
    return [
        System(
            " and ".join(rerankers),
            {query: _order(each, depth, fuse) for query, each in queries.items()},
            {query: _milliseconds(each, depth) for query, each in queries.items()},
            depth,
            way,
            source=source,
        )
        for way, fuse in ways.items()
        for depth in depths
    ]


def _even(scores: Sequence[NDArray[np.float32]]) -> Scores:
    mean: Scores = np.mean([standardised(found) for found in scores], axis=0)
    return mean


def _order(each: Sequence[ScoredQuery], depth: int, fuse: Fuse) -> tuple[str, ...]:
    documents = each[0].documents
    if any(found.documents != documents for found in each):
        raise ValueError("rerankers that are fused must have scored the same candidates")
    logits = [found.logits[:depth] for found in each if len(found.logits)]
    if not logits:
        return best_passages(documents)
    count = len(logits[0])
    ranked = places(fuse([each[0].ordered_by[:count], *logits])).tolist()
    return best_passages((*(documents[row] for row in ranked), *documents[count:]))


def _milliseconds(each: Sequence[ScoredQuery], depth: int) -> float:
    """One first look, and the reading of each reranker after the other."""
    return each[0].look_ms + sum(found.milliseconds(depth) - found.look_ms for found in each)
