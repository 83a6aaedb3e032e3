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
    alarms, caught = told_nothing(probabilities, labels, threshold)
    return share(alarms), share(caught)


def told_nothing(
    probabilities: NDArray[np.float64], labels: Labels, threshold: float
) -> tuple[list[bool], list[bool]]:
    """Whether each query with a relevant candidate is told that nothing answers, and each once those are taken away."""
    lists = _lists(probabilities, labels)
    alarms = [bool(row.max() < threshold) for row, relevant in lists if relevant.any()]
    caught = [bool(row[~relevant].max() < threshold) for row, relevant in lists if not relevant.all()]
    return alarms, caught


def _lists(
    probabilities: NDArray[np.float64], labels: Labels
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Probabilities and labels of each query."""
    masks = [labels.query == query for query in np.unique(labels.query)]
    return [(probabilities[mask], labels.relevant[mask]) for mask in masks]


def share(told: list[bool]) -> float | None:
    """The share that was told so, ``None`` of none."""
    return float(np.mean(told)) if told else None
