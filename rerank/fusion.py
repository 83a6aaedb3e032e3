"""Scores of the first look and of the second made into one: pure functions over the same n passages.

Every array has shape (n,), higher is better, and row i is the same passage in each. What comes out is a score
too: `places` makes an order of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import UsageError
from retrieval.fusion import RRF_K, reciprocal_ranks

EQUAL_WEIGHT = 0.5

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Fusion:
    """A second order made of both looks: by reciprocal rank, or weighted with the reranker's share ``weight``.

    Raises `UsageError` for a weight outside [0, 1].
    """

    weight: float | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not 0 <= self.weight <= 1:
            raise UsageError(
                f"The reranker's share in a weighted fusion is from 0 to 1; {self.weight:g} was given."
            )

    @classmethod
    def of(cls, text: str) -> Fusion:
        """The fusion that “rrf”, “weighted” (even shares) or “weighted:0.3” names. Raises `UsageError` for others."""
        kind, colon, share = text.strip().lower().partition(":")
        if kind == "weighted" or (kind == "rrf" and not colon):
            try:
                return cls(float(share) if colon else EQUAL_WEIGHT) if kind == "weighted" else cls()
            except ValueError:
                pass  # said below, together with what is no fusion at all
        raise UsageError(
            f"“{text}” is no fusion: take rrf, weighted, or weighted:W with W, from 0 to 1, the reranker's share."
        )

    def __str__(self) -> str:
        """What it is called in settings: what `of` reads."""
        return "rrf" if self.weight is None else f"weighted:{self.weight:g}"

    @property
    def title(self) -> str:
        """What it is called in prose."""
        if self.weight is None:
            return "reciprocal rank fusion"
        return f"weighted fusion, {self.weight:.0%} of it the reranker"

    def fused(self, first: Array, logits: Array) -> NDArray[np.float64]:
        """Both looks' scores of the same passages as one, shape (n,); ``logits`` are the reranker's own."""
        return (
            reciprocal_rank((first, logits)) if self.weight is None else weighted(first, logits, self.weight)
        )


def places(scores: Array) -> NDArray[np.intp]:
    """Row numbers, the best first; equal scores keep the order in which they were given."""
    return np.argsort(-scores, kind="stable")


def mixed(logits: NDArray[np.float32], cosines: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Logit plus ``weight`` times the cosine, unscaled: the mix that a reranker is shipped with."""
    return logits + np.float32(weight) * cosines


def standardised(scores: Array) -> NDArray[np.float64]:
    """Scores less their mean, over their standard deviation; zeros where they are all the same.

    ZMUV of Montague and Aslam, "Relevance Score Normalization for Metasearch" (CIKM 2001): it makes scores of
    different models comparable within one query, and says nothing across queries.
    """
    if not len(scores) or scores.max() == scores.min():
        return np.zeros(len(scores), dtype=np.float64)
    exact = scores.astype(np.float64)
    standard: NDArray[np.float64] = (exact - exact.mean()) / exact.std()
    return standard


def weighted(first: Array, second: Array, weight: float = EQUAL_WEIGHT) -> NDArray[np.float64]:
    """(1 − ``weight``) · first + ``weight`` · second, each standardised over these n passages.

    A linear combination after Fox and Shaw, "Combination of Multiple Searches" (TREC-2, 1994). Raises
    `ValueError` for a weight outside [0, 1] or arrays of different length.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of the second score is {weight}; it must be from 0 to 1")
    _check_lengths((first, second))
    return (1 - weight) * standardised(first) + weight * standardised(second)


def reciprocal_rank(scores: Sequence[Array], k: int = RRF_K) -> NDArray[np.float64]:
    """Σ 1 / (k + rank) over the rankings that ``scores`` (one array or more) make, ranks from 1.

    See `retrieval.fusion.reciprocal_ranks`. Raises `ValueError` without arrays or for different lengths.
    """
    _check_lengths(scores)
    fused = reciprocal_ranks([places(found).tolist() for found in scores], k)
    return np.array([fused[row] for row in range(len(scores[0]))], dtype=np.float64)


def _check_lengths(scores: Sequence[Array]) -> None:
    lengths = [len(found) for found in scores]
    if len(set(lengths)) != 1:
        raise ValueError(f"fusion needs scores of the same passages; it was given arrays of {lengths}")
