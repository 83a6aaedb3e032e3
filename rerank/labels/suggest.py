"""What to judge next: the passages of a result whose judgement tells most."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, zip_longest
from math import log2

from rerank.records import Bands, RankedHit, SearchResult

# Where bands begin to say “possibly”; whoever has learnt a threshold gives that one.
DEFAULT_THRESHOLD = Bands().possibly
# Farther from the threshold than this, a score is not in doubt.
NEAR = 0.15


class Reason(StrEnum):
    """Why a passage is worth judging."""

    ORDERS_DISAGREE = "the two orders disagree on it"
    NEAR_THRESHOLD = "its relevance is near the threshold"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A passage to judge, and why."""

    hit: RankedHit
    reason: Reason


def suggest(
    result: SearchResult, judged: Container[str], count: int, threshold: float = DEFAULT_THRESHOLD
) -> list[Suggestion]:
    """At most ``count`` passages that are not among the ``judged`` hashes, in turn for either reason.

    The first kind is chosen as in Carterette, Allan and Sitaraman, "Minimal Test Collections for Retrieval
    Evaluation" (SIGIR 2006): the passage whose judgement can move the difference of the two orders' DCG most. A
    passage that both orders have at the same place tells nothing about them, and is never of that kind. The second
    needs scores that can be read as relevance. Nothing where the result was not reranked.
    """
    open_ones: dict[str, RankedHit] = {}
    for hit in result.after:
        name = hit.candidate.chunk.passage_hash
        if name not in judged:
            open_ones.setdefault(name, hit)
    hits = list(open_ones.values())
    disputed = sorted((hit for hit in hits if hit.movement), key=disagreement, reverse=True)
    doubtful = sorted(
        (hit for hit in hits if _doubt(hit, threshold) <= NEAR), key=lambda hit: _doubt(hit, threshold)
    )
    return _in_turn(disputed, doubtful)[:count]


def disagreement(hit: RankedHit) -> float:
    """By how much a passage's gain counts more in one order's DCG than in the other's, in [0, 1)."""
    return abs(1 / log2(1 + hit.rank) - 1 / log2(1 + hit.candidate.rank))


def _doubt(hit: RankedHit, threshold: float) -> float:
    return abs(hit.relevance - threshold) if hit.relevance is not None else float("inf")


def _in_turn(disputed: list[RankedHit], doubtful: list[RankedHit]) -> list[Suggestion]:
    """One of each in turn, no passage twice."""
    suggestions: dict[int, Suggestion] = {}
    for suggestion in chain.from_iterable(
        zip_longest(
            _with(disputed, Reason.ORDERS_DISAGREE),
            _with(doubtful, Reason.NEAR_THRESHOLD),
        )
    ):
        if suggestion is not None:
            suggestions.setdefault(suggestion.hit.candidate.chunk.id, suggestion)
    return list(suggestions.values())


def _with(hits: list[RankedHit], reason: Reason) -> Iterator[Suggestion]:
    return (Suggestion(hit, reason) for hit in hits)
