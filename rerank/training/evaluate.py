"""Held-out queries: candidates by the bi-encoder, scores by the model, nDCG@10 of each order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerank.judged.measures import measure as measure_orders
from rerank.judged.records import VERDICT_MEASURE
from rerank.training.data import LabelledSet, Query
from rerank.training.mining import TextEncoder, opening

# Weights that a cosine may have beside the cross-encoder's logit, which moves by about 20 per unit cosine.
BI_WEIGHTS = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0)

PairScorer = Callable[[str, Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Case:
    """A held-out query with its candidates in the bi-encoder's order.

    ``documents`` (ids) and ``cosines`` are (n,) beside ``passages``; ``judged`` holds all grades of the query by
    document id, those of documents that are not among the candidates included.
    """

    set_name: str
    query: str
    documents: tuple[str, ...]
    passages: tuple[str, ...]
    cosines: NDArray[np.float32]
    judged: Mapping[str, int]

    @property
    def grades(self) -> NDArray[np.int64]:
        """The candidates' grades, (n,); 0 where nobody judged."""
        return np.array([self.judged.get(document, 0) for document in self.documents], dtype=np.int64)


def build_cases(
    labelled: LabelledSet, queries: Sequence[Query], encoder: TextEncoder, candidates: int
) -> list[Case]:
    """A case per query: its best ``candidates`` documents of the whole set, by exact inner product."""
    if not queries:
        return []
    names = sorted(labelled.documents)
    passages = [opening(labelled.documents[name]) for name in names]
    vectors = encoder.passages(passages)
    query_vectors = encoder.queries([query.text for query in queries])
    cases = []
    for query, vector in zip(queries, query_vectors, strict=True):
        scores = vectors @ vector
        order = np.argsort(-scores, kind="stable")[:candidates]
        cases.append(
            Case(
                labelled.name,
                query.text,
                tuple(names[row] for row in order),
                tuple(passages[row] for row in order),
                scores[order],
                query.grades,
            )
        )
    return cases


def ndcg(cases: Sequence[Case], scores: Sequence[NDArray[np.floating]]) -> list[float]:
    """nDCG@10 of the candidates of each case by its ``scores`` (n,), ties in the bi-encoder's order."""
    qrels = {str(number): case.judged for number, case in enumerate(cases)}
    orders = {
        str(number): [case.documents[row] for row in np.argsort(-row_scores, kind="stable")]
        for number, (case, row_scores) in enumerate(zip(cases, scores, strict=True))
    }
    return list(measure_orders(qrels, orders, (VERDICT_MEASURE,))[VERDICT_MEASURE].values())


def mean_by_set(cases: Sequence[Case], values: Sequence[float]) -> dict[str, float]:
    """Mean of ``values`` (one a case) for each set, and over all cases as "mean"."""
    by_set: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        by_set.setdefault(case.set_name, []).append(value)
    means = {name: float(np.mean(row)) for name, row in by_set.items()}
    return {**means, "mean": float(np.mean(values))} if means else {}


@dataclass(frozen=True, slots=True)
class Measurement:
    """nDCG@10 of the three orders, by set with their "mean", and the weight of the best mix."""

    bi_encoder: dict[str, float]
    cross_encoder: dict[str, float]
    mixed: dict[str, float]
    bi_weight: float


def measure(
    cases: Sequence[Case], logits: Sequence[NDArray[np.float32]], weight: float | None = None
) -> Measurement:
    """The orders' figures; without a ``weight`` the best of ``BI_WEIGHTS`` is taken, the smallest on a tie."""

    def mixed(bi_weight: float) -> dict[str, float]:
        sums = [row + bi_weight * case.cosines for case, row in zip(cases, logits, strict=True)]
        return mean_by_set(cases, ndcg(cases, sums))

    figures = {w: mixed(w) for w in (BI_WEIGHTS if weight is None else (weight,))}
    best = max(figures, key=lambda w: (round(figures[w]["mean"], 4), -w))
    before, alone = ndcg(cases, [case.cosines for case in cases]), ndcg(cases, logits)
    return Measurement(mean_by_set(cases, before), mean_by_set(cases, alone), figures[best], best)
