"""How two rerankers agree on the same candidates: the passages that both put first, and Kendall's τ over all. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rerank.records import SearchResult


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two second looks at one first look.

    ``shared`` passages stand among the first ``top_k`` places of both orders, and ``same_best`` tells whether they
    begin with the same one. ``tau`` is Kendall's rank correlation over the ``compared`` passages that both scored: 1
    for the same order, 0 for no relation, −1 for the reverse; ``None`` where fewer than two can be compared.
    """

    top_k: int
    shared: int
    same_best: bool
    tau: float | None
    compared: int


def agreement(one: SearchResult, other: SearchResult, top_k: int) -> Agreement | None:
    """How ``one`` and ``other`` agree on their first ``top_k`` places; ``None`` where either was not reranked.

    ``top_k`` is cut to what both orders hold. The correlation is of M. G. Kendall, "A New Measure of Rank Correlation"
    (Biometrika 30, 1938); places have no ties. Raises ValueError for a ``top_k`` below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1; it is {top_k}.")
    if not one.reranked or not other.reranked:
        return None
    here = {hit.candidate.chunk.id: hit.rank for hit in one.after}
    there = {hit.candidate.chunk.id: hit.rank for hit in other.after}
    places = min(top_k, len(here), len(there))
    shared = sum(here[chunk] <= places for chunk, rank in there.items() if rank <= places and chunk in here)
    both = [chunk for chunk in here if chunk in there]
    tau = _tau([here[chunk] for chunk in both], [there[chunk] for chunk in both])
    best = one.after[0].candidate.chunk.id == other.after[0].candidate.chunk.id
    return Agreement(places, shared, best, tau, len(both))


def _tau(here: list[int], there: list[int]) -> float | None:
    from scipy.stats import kendalltau  # half a second that no other search should wait for

    return float(kendalltau(here, there).statistic) if len(here) > 1 else None
