"""The records of an evaluation: what is asked, what each query gave, and what came of it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean

import numpy as np

from ingest.notices import Notice
from ingest.pipeline import Source
from rerank.records import Models

# The measure that the verdict goes by.
VERDICT_MEASURE = "nDCG@10"

# {measure: {query id: value in [0, 1]}}
Figures = Mapping[str, Mapping[str, float]]


class Verdict(StrEnum):
    """Whether reranking is worth it on these queries."""

    HELPS = "helps"
    HURTS = "hurts"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Queries with their judgements, and the files that they are asked of.

    ``queries`` is ``{query id: text}`` and holds exactly the queries of ``qrels``, which is ``{query id:
    {document id: grade}}``; grades below 1 say “judged, and not relevant”. ``called`` is what people
    call the set where its folder has a name of ours.
    """

    folder: Path
    split: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    corpus: tuple[Source, ...]
    notices: tuple[Notice, ...] = ()
    called: str = ""

    @property
    def name(self) -> str:
        """What people call the set: its folder's name, if it goes by no other."""
        return self.called or self.folder.name


@dataclass(frozen=True, slots=True)
class QueryRun:
    """Both orders of one query as document ids, best first and without repeats.

    ``milliseconds`` is what the search took when it was run. ``failure`` says why there is no second
    order (``after`` is then the first one).
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    milliseconds: float
    failure: Notice | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure after less before: mean over queries, its 95 % interval, and the two-sided p."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class QueryGain:
    """nDCG@10 of one query in both orders."""

    query: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """After less before."""
        return self.after - self.before


def gains(before: Figures, after: Figures) -> list[QueryGain]:
    """nDCG@10 of every query in both orders, the worst losses first."""
    first, second = before[VERDICT_MEASURE], after[VERDICT_MEASURE]
    return sorted((QueryGain(q, first[q], second[q]) for q in first), key=lambda row: row.gain)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What reranking does to one judged set; ``runs`` has a row for every query of it."""

    judged: JudgedSet
    documents: int
    candidates: int
    models: Models
    runs: Mapping[str, QueryRun]
    before: Figures
    after: Figures
    differences: Mapping[str, Difference]
    verdict: Verdict
    notices: tuple[Notice, ...] = ()

    @property
    def mean_before(self) -> dict[str, float]:
        """Every measure of the bi-encoder's order, over all queries."""
        return {name: fmean(values.values()) for name, values in self.before.items()}

    @property
    def mean_after(self) -> dict[str, float]:
        """Every measure of the reranker's order, over all queries."""
        return {name: fmean(values.values()) for name, values in self.after.items()}

    @property
    def by_gain(self) -> list[QueryGain]:
        """The queries by what reranking did to them, the worst losses first."""
        return gains(self.before, self.after)

    @property
    def latency(self) -> tuple[float, float]:
        """Median and 95th percentile of the milliseconds of a whole search, as measured when it was run."""
        median, slow = np.percentile([run.milliseconds for run in self.runs.values()], [50, 95])
        return float(median), float(slow)
