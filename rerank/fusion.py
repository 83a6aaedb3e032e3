"""Scores of the first look and of the second made into one: pure functions over the same n passages.

Every array has shape (n,), higher is better, and row i is the same passage in each. What comes out is a score
too: `places` makes an order of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EQUAL_WEIGHT = 0.5
RRF_K = 60

Array = NDArray[np.floating]


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

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods" (SIGIR 2009), who fixed k = 60. Raises `ValueError` without arrays or for different lengths.
    """
    _check_lengths(scores)
    fused = np.zeros(len(scores[0]), dtype=np.float64)
    for found in scores:
        fused[places(found)] += 1 / (k + np.arange(1, len(found) + 1))
    return fused


def _check_lengths(scores: Sequence[Array]) -> None:
    lengths = [len(found) for found in scores]
    if len(set(lengths)) != 1:
        raise ValueError(f"fusion needs scores of the same passages; it was given arrays of {lengths}")
