"""Whether a list answers its question at all: a threshold for its best candidate, and how often that errs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerank.calibration.labels import MIN_QUERIES, Labels

# Being told that nothing answers, where something does, costs more than ten poor results: at most one query in
# twenty of those learnt from. A choice, not a measurement.
MAX_FALSE_ALARMS = 0.05


def learn_answer_threshold(probabilities: NDArray[np.float64], labels: Labels) -> float | None:
    """The highest threshold below which the best candidate lies in at most `MAX_FALSE_ALARMS` of the queries
    that have a relevant one; ``None`` where fewer than `MIN_QUERIES` do. ``probabilities`` is (n,).
    """
    best = [row.max() for row, relevant in _lists(probabilities, labels) if relevant.any()]
    if len(best) < MIN_QUERIES:
        return None
    return float(np.quantile(best, MAX_FALSE_ALARMS, method="lower"))


def answer_errors(
    probabilities: NDArray[np.float64], labels: Labels, threshold: float | None
) -> tuple[float | None, float | None]:
    """Shares of queries that are told “nothing here answers this”: of those with a relevant candidate, and of all
    once their relevant candidates are taken away. ``None`` where there are no such queries, or no threshold.
    """
    if threshold is None:
        return None, None
    lists = list(_lists(probabilities, labels))
    alarms = [row.max() < threshold for row, relevant in lists if relevant.any()]
    caught = [row[~relevant].max() < threshold for row, relevant in lists if not relevant.all()]
    return _share(alarms), _share(caught)


def _lists(
    probabilities: NDArray[np.float64], labels: Labels
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Probabilities and labels of each query."""
    masks = [labels.query == query for query in np.unique(labels.query)]
    return [(probabilities[mask], labels.relevant[mask]) for mask in masks]


def _share(told: list[np.bool_]) -> float | None:
    return float(np.mean(told)) if told else None
