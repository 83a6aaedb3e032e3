"""Held-out queries: candidates by the bi-encoder, scores by the model, nDCG@10 of each order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerank.training.data import LabelledSet, Query
from rerank.training.mining import TextEncoder, opening

CUTOFF = 10
# Weights that a cosine may have beside the cross-encoder's logit, which moves by about 20 per unit cosine.
BI_WEIGHTS = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0)

PairScorer = Callable[[str, Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Case:
    """A held-out query with its candidates in the bi-encoder's order.

    ``cosines`` and ``grades`` are (n,) beside ``passages``; ``ideal`` holds all grades of the query, those
    of documents that are not among the candidates included.
    """

    set_name: str
    query: str
    passages: tuple[str, ...]
    cosines: NDArray[np.float32]
    grades: NDArray[np.int64]
    ideal: NDArray[np.int64]


def build_cases(
    labelled: LabelledSet, queries: Sequence[Query], encoder: TextEncoder, candidates: int
) -> list[Case]:
    """A case per query: its best ``candidates`` documents of the whole set, by exact inner product."""
    if not queries:
        return []
    names = sorted(labelled.documents)
    passages = [opening(labelled.documents[name]) for name in names]
    vectors, asked = encoder.passages(passages), encoder.queries([query.text for query in queries])
    cases = []
    for query, vector in zip(queries, asked, strict=True):
        scores = vectors @ vector
        order = np.argsort(-scores, kind="stable")[:candidates]
        cases.append(
            Case(
                labelled.name,
                query.text,
                tuple(passages[row] for row in order),
                scores[order],
                np.array([query.grades.get(names[row], 0) for row in order], dtype=np.int64),
                np.array(sorted(query.grades.values(), reverse=True), dtype=np.int64),
            )
        )
    return cases


def ndcg(grades: NDArray[np.int64], ideal: NDArray[np.int64], cutoff: int = CUTOFF) -> float:
    """nDCG with linear gains; ``grades`` in the order shown, ``ideal`` sorted downwards."""
    discounts = 1.0 / np.log2(np.arange(2, cutoff + 2))
    best = float((ideal[:cutoff] * discounts[: len(ideal[:cutoff])]).sum())
    return float((grades[:cutoff] * discounts[: len(grades[:cutoff])]).sum()) / best if best else 0.0


def case_ndcg(case: Case, scores: NDArray[np.floating]) -> float:
    """nDCG@10 of the candidates of ``case`` by ``scores``, ties in the bi-encoder's order."""
    return ndcg(case.grades[np.argsort(-scores, kind="stable")], case.ideal)


def mean_by_set(cases: Sequence[Case], values: Sequence[float]) -> dict[str, float]:
    """Mean of ``values`` (one a case) for each set, and over all cases as "mean"."""
    by_set: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        by_set.setdefault(case.set_name, []).append(value)
    means = {name: float(np.mean(found)) for name, found in by_set.items()}
    return {**means, "mean": float(np.mean(values))} if means else {}


@dataclass(frozen=True, slots=True)
class Measured:
    """nDCG@10 of the three orders, by set with their "mean", and the weight of the best mix."""

    bi_encoder: dict[str, float]
    cross_encoder: dict[str, float]
    mixed: dict[str, float]
    bi_weight: float


def measure(
    cases: Sequence[Case], logits: Sequence[NDArray[np.float32]], weight: float | None = None
) -> Measured:
    """The orders' figures; without a ``weight`` the best of ``BI_WEIGHTS`` is taken, the smallest on a tie."""

    def mixed(bi_weight: float) -> dict[str, float]:
        values = [case_ndcg(c, row + bi_weight * c.cosines) for c, row in zip(cases, logits, strict=True)]
        return mean_by_set(cases, values)

    tried = {w: mixed(w) for w in (BI_WEIGHTS if weight is None else (weight,))}
    best = max(tried, key=lambda w: (round(tried[w]["mean"], 4), -w))
    before = [case_ndcg(case, case.cosines) for case in cases]
    alone = [case_ndcg(c, row) for c, row in zip(cases, logits, strict=True)]
    return Measured(mean_by_set(cases, before), mean_by_set(cases, alone), tried[best], best)
