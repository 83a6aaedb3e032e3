"""One ranking out of several whose scores cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

RRF_K = 60


def reciprocal_ranks(rankings: Iterable[Sequence[int]], k: int = RRF_K) -> dict[int, float]:
    """Σ 1 / (k + rank) of every item over the rankings that hold it, ranks from 1; items in the order first met.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods" (SIGIR 2009), who fixed k = 60.
    """
    fused: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            fused[item] = fused.get(item, 0.0) + 1 / (k + rank)
    return fused
