"""One ranking out of several whose scores cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RerankError, UsageError

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


EQUAL_WEIGHT = 0.5
ROUNDING = 1e-9  # 0.1 + 0.2 + 0.7 is a little more than 1

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Fusion:
    """A second order made of the first look and one reranker or several: by reciprocal rank, or weighted.

    ``shares`` are the rerankers' in a weighted fusion, in their order, the first look having what is left of 1; empty
    where all have the same, the first look too; ``None`` by reciprocal rank. Raises `UsageError` for shares that are
    not in [0, 1], or more than 1 together.
    """

    shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for share in self.shares or ():
            if not 0 <= share <= 1:
                raise UsageError(
                    f"The reranker's share in a weighted fusion is from 0 to 1; {share:g} was given."
                )
        if (whole := fsum(self.shares or ())) > 1 + ROUNDING:
            raise UsageError(
                f"The rerankers' shares in a weighted fusion are 1 together at most; {whole:g} was given."
            )

    @classmethod
    def of(cls, text: str) -> Fusion:
        """The fusion with one reranker that “rrf”, “weighted” (even shares) or “weighted:0.3” names.

        Raises `UsageError` for others.
        """
        fusion = cls._read(text)
        if fusion is None or len(fusion.shares or ()) > 1:
            raise UsageError(
                f"“{text}” is no fusion: take rrf, weighted, or weighted:W with W, from 0 to 1, the reranker's share."
            )
        return cls((EQUAL_WEIGHT,)) if fusion.shares == () else fusion

    @classmethod
    def of_ensemble(cls, text: str) -> Fusion:
        """The fusion with several rerankers that “rrf”, “weighted” (even shares) or “weighted:0.5,0.3” names.

        Raises `UsageError` for others.
        """
        fusion = cls._read(text)
        if fusion is None:
            raise UsageError(
                f"“{text}” is no fusion of rerankers: take rrf, weighted, or weighted:W,W with each reranker's share, "
                "from 0 to 1, in the order in which they are named; the first look has the rest."
            )
        return fusion

    @classmethod
    def _read(cls, text: str) -> Fusion | None:
        kind, colon, shares = text.strip().lower().partition(":")
        if kind == "rrf" and not colon:
            return cls()
        try:
            return cls(tuple(map(float, shares.split(","))) if colon else ()) if kind == "weighted" else None
        except ValueError:
            return None

    def __str__(self) -> str:
        """The fusion as settings write it and `of` and `of_ensemble` read it."""
        if self.shares is None:
            return "rrf"
        return ":".join(filter(None, ["weighted", ",".join(f"{share:g}" for share in self.shares)]))

    @property
    def title(self) -> str:
        """The fusion's name in prose."""
        if self.shares is None:
            return "reciprocal rank fusion"
        if not self.shares:
            return "weighted fusion, even shares"
        shares = " and ".join(f"{share:.0%}" for share in self.shares)
        return f"weighted fusion, {shares} of it the reranker{'s' if len(self.shares) > 1 else ''}"

    def fits(self, rerankers: int) -> None:
        """Raise `UsageError` where there is not a share for each of so many rerankers."""
        if self.shares and len(self.shares) != rerankers:
            raise UsageError(
                f"{self} holds {len(self.shares)} of the rerankers' shares, and {rerankers} are fused: give one for "
                "each, in the order in which they are named; the first look has the rest."
            )

    def weights(self, there: Sequence[bool]) -> tuple[float, ...] | None:
        """What the first look, and each reranker that is ``there``, counts; 1 together. ``None`` by reciprocal rank.

        Those that are there keep their proportions where others are not. Raises `RerankError` where none of those has
        any share, `UsageError` for another number of rerankers than of shares.
        """
        self.fits(len(there))
        if self.shares is None:
            return None
        shares = self.shares or (1.0,) * len(there)
        first = max(1 - fsum(shares), 0.0) if self.shares else 1.0
        shares_there = [share for share, is_there in zip(shares, there, strict=True) if is_there]
        if fsum(shares_there) == 0 and not all(there):
            raise RerankError("none of the rerankers that are left has a share in the fusion")
        whole = first + fsum(shares_there)
        return tuple(weight / whole for weight in (first, *shares_there))

    def fused(self, first: Array, *logits: Array | None) -> NDArray[np.float64]:
        """The first look's and the rerankers' scores of the same passages as one, shape (n,).

        ``logits`` are the rerankers' own, ``None`` of one that failed: then the others are fused. Raises as `weights`
        does, and `ValueError` without any.
        """
        weights = self.weights([row is not None for row in logits])
        scores = (first, *(row for row in logits if row is not None))
        if len(scores) < 2:
            raise ValueError("fusion needs the scores of one reranker at least")
        return reciprocal_rank(scores) if weights is None else weighted_sum(scores, weights)


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

    Raises `ValueError` for a weight outside [0, 1] or arrays of different length.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of the second score is {weight}; it must be from 0 to 1")
    return weighted_sum((first, second), (1 - weight, weight))


def weighted_sum(scores: Sequence[Array], weights: Sequence[float]) -> NDArray[np.float64]:
    """Σ weight · score, each score standardised over these n passages.

    A linear combination after Fox and Shaw, "Combination of Multiple Searches" (TREC-2, 1994), whose CombSUM it is for
    even weights. Raises `ValueError` for arrays of different length, or another number of weights.
    """
    _check_lengths(scores)
    total = np.zeros(len(scores[0]), dtype=np.float64)
    for row, weight in zip(scores, weights, strict=True):
        total += weight * standardised(row)
    return total


def reciprocal_rank(scores: Sequence[Array], k: int = RRF_K) -> NDArray[np.float64]:
    """Σ 1 / (k + rank) over the rankings that ``scores`` (one array or more) make, ranks from 1.

    See `retrieval.fusion.reciprocal_ranks`. Raises `ValueError` without arrays or for different lengths.
    """
    _check_lengths(scores)
    fused = reciprocal_ranks([places(values).tolist() for values in scores], k)
    return np.array([fused[row] for row in range(len(scores[0]))], dtype=np.float64)


def _check_lengths(scores: Sequence[Array]) -> None:
    lengths = [len(row) for row in scores]
    if len(set(lengths)) != 1:
        raise ValueError(f"fusion needs scores of the same passages; it was given arrays of {lengths}")
