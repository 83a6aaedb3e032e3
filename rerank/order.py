"""From scores to an order: pure, stable, and it never loses, adds or doubles a candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RerankError
from ingest.models.spec import ModelSpec
from rerank.records import RankedHit
from retrieval.fusion import Fusion, mixed
from retrieval.records import Candidate


def check_numbers(logits: NDArray[np.float32], count: int) -> None:
    """Raise `RerankError` for scores that are wrong in number or not finite."""
    if logits.shape != (count,):
        raise RerankError(f"the reranker gave {logits.size} scores for {count} passages")
    broken = int(count - np.isfinite(logits).sum())
    if broken:
        raise RerankError(f"the reranker gave {broken} of {count} scores that are not numbers")


def check_scores(logits: NDArray[np.float32], count: int) -> None:
    """Raise `RerankError` for scores that cannot order anything: wrong in number, not finite, or all the same."""
    check_numbers(logits, count)
    if count > 1 and float(logits.max()) == float(logits.min()):
        raise RerankError(
            "the reranker gave every passage the same score, as a model with an untrained head does"
        )


def order(
    candidates: Sequence[Candidate],
    logits: NDArray[np.float32],
    spec: ModelSpec,
    fusion: Fusion | None = None,
) -> tuple[RankedHit, ...]:
    """Candidates by falling logit, ties in the first look's order.

    ``logits`` has shape (n,), in the order of ``candidates``. The order goes by the fp32 logit plus
    ``spec.bi_weight`` times the cosine, never by the squashed relevance, which makes ties of its own. With a
    ``fusion`` it goes by that of what the first look ordered by and the logit alone, which is no relevance.
    Raises `RerankError` for unusable scores (see `check_scores`).
    """
    check_scores(logits, len(candidates))
    combined: NDArray[np.floating]
    if fusion is not None:
        combined = fusion.fused(np.array([candidate.ordered_by for candidate in candidates]), logits)
        relevances = None
    else:
        cosines = np.array([candidate.score for candidate in candidates], dtype=np.float32)
        combined = mixed(logits, cosines, spec.bi_weight)
        relevances = relevance(combined, spec)
    places = np.lexsort((np.array([candidate.rank for candidate in candidates]), -combined))
    return tuple(
        RankedHit(
            candidates[place], rank, float(combined[place]),
            None if relevances is None else float(relevances[place]), float(logits[place]),
        )
        for rank, place in enumerate(places.tolist(), start=1)
    )  # fmt: skip


def relevance(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64] | None:
    """Sigmoid of the scaled logit, shape (n,), in [0, 1]; ``None`` where the model was not trained for that."""
    if spec.relevance_scale is None:
        return None
    scaled = spec.relevance_scale * logits.astype(np.float64) + spec.relevance_shift
    # Both branches are exact and neither overflows.
    small = np.exp(-np.abs(scaled))
    return np.where(scaled >= 0, 1 / (1 + small), small / (1 + small))
