"""Labelled scores: what calibrations and thresholds are learnt from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import SecondLookError

SEED = 20_240
# Below this an interval from resampling queries says little.
MIN_QUERIES = 10


class TooFewLabelsError(SecondLookError):
    """Nothing can be learnt from these labels: there are none, or all are of one kind."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One judged passage of one query. ``logit`` is the number that the order goes by (`RankedHit.logit`)."""

    query: str
    logit: float
    relevant: bool

    def __post_init__(self) -> None:
        if not math.isfinite(self.logit):
            raise ValueError(f"the logit of a label of query {self.query} is {self.logit}")


@dataclass(frozen=True, slots=True)
class Labels:
    """Labelled rows as arrays of shape (n,): fp64 logits, relevant or not, and the number of each row's query."""

    logits: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    query: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Labelled]) -> Labels:
        """The rows as arrays; queries are numbered in the order of their first row."""
        numbers: dict[str, int] = {}
        query = [numbers.setdefault(row.query, len(numbers)) for row in rows]
        return cls(
            np.array([row.logit for row in rows], dtype=np.float64),
            np.array([row.relevant for row in rows], dtype=np.bool_),
            np.array(query, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def queries(self) -> int:
        """How many different queries the labels belong to."""
        return len(np.unique(self.query))

    @property
    def positives(self) -> int:
        """How many labels say relevant."""
        return int(self.relevant.sum())

    @property
    def rarer(self) -> int:
        """How many labels there are of the rarer kind."""
        return min(self.positives, len(self) - self.positives)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labels:
        """The rows of a mask or of places."""
        return Labels(self.logits[rows], self.relevant[rows], self.query[rows])


def require_both_kinds(labels: Labels) -> None:
    """Raise `TooFewLabelsError` unless there is at least one relevant label and one that is not."""
    if labels.rarer:
        return
    if not len(labels):
        raise TooFewLabelsError("There are no labels to learn from. Judge some passages first.")
    kind, other = ("relevant", "not relevant") if labels.positives else ("not relevant", "relevant")
    raise TooFewLabelsError(
        f"All {len(labels)} labels say {kind}; nothing tells where the line is. Judge some passages that are {other}."
    )


def shortage(labels: Labels, of_each: int, in_all: int = 0) -> str:
    """What is missing to ``of_each`` labels of either kind and ``in_all`` labels; empty where nothing is.

    The number of further labels supposes that they come in the proportion of those that are there.
    """
    share = labels.rarer / len(labels)
    number = max(math.ceil(of_each / share), in_all)
    more = max(0, number - len(labels))
    if not more and labels.queries >= MIN_QUERIES:
        return ""
    needs = [f"about {more} more labels"] if more else []
    if labels.queries < MIN_QUERIES:
        needs.append(f"labels of {MIN_QUERIES - labels.queries} more queries")
    return (
        f"{_count(labels.positives, 'relevant label')} and {len(labels) - labels.positives} not relevant, of "
        f"{_count(labels.queries, 'query', 'queries')}, are too few to rely on; {' and '.join(needs)} would do."
    )


def halves(rows: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """The rows in two halves by query, each query whole in one of them; seeded, so the same every time."""
    queries = sorted({row.query for row in rows})
    places = np.random.default_rng(SEED).permutation(len(queries))
    first = {queries[place] for place in places[: (len(queries) + 1) // 2]}
    return [row for row in rows if row.query in first], [row for row in rows if row.query not in first]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
