"""The records of judged questions: the set, the figures of each query, and the difference of two orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.notices import Notice
from ingest.sources import Source

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
