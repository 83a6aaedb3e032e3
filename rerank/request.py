"""What is asked: one frozen record that a face makes, and that the whole query path goes by."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.errors import UsageError
from retrieval.fusion import Fusion
from retrieval.records import CandidateSource

DEFAULT_CANDIDATES = 100
# A question longer than this is refused: it would leave no room for a passage beside it.
MAX_QUERY_CHARACTERS = 2000

# Slices without a change that a stable order needs where no number is given: the fewest that lost less
# than 0.001 of nDCG@10 on held-out questions of SQuAD (tests/benchmarks/results/anytime.txt).
STABLE_SLICES = 1
STABLE_TOP = 10


@dataclass(frozen=True, slots=True)
class StableRule:
    """End when the first ``top_k`` places have stood unchanged for ``slices`` slices.

    A guess that the passages still to come change nothing either, not a proof. What it loses is measured by
    tests/benchmarks/anytime.py. Raises `UsageError` for numbers below 1.
    """

    slices: int = STABLE_SLICES
    top_k: int = STABLE_TOP

    def __post_init__(self) -> None:
        if self.slices < 1 or self.top_k < 1:
            raise UsageError(
                f"An order is stable when the first places stand for 1 slice or more; {self.slices} slices and "
                f"{self.top_k} places were given."
            )

    def met(self, tops: Sequence[Sequence[int]]) -> bool:
        """Whether to end. ``tops`` holds the chunk ids in their order, best first, after each slice so far."""
        recent = {tuple(top[: self.top_k]) for top in tops[-self.slices - 1 :]}
        return len(tops) > self.slices and len(recent) == 1


@dataclass(frozen=True, slots=True)
class SecondLookPlan:
    """When a second look may end before every candidate is scored (by default, never), and how its order is made.

    ``budget_ms`` is wall-clock time from the start of the second look. The first slice is scored whatever it takes.
    ``fusion`` mixes the first look into the order; ``None`` leaves it to the reranker. Raises `UsageError` for a
    budget below 1 ms or without end.
    """

    budget_ms: float | None = None
    stop_when_stable: StableRule | None = None
    fusion: Fusion | None = None

    def __post_init__(self) -> None:
        if self.budget_ms is not None and not 1 <= self.budget_ms < math.inf:
            raise UsageError(f"The second look needs 1 ms or more; {self.budget_ms:g} ms were allowed.")

    @property
    def may_end_early(self) -> bool:
        """Whether anything but the last candidate can end it."""
        return self.budget_ms is not None or self.stop_when_stable is not None


WHOLE = SecondLookPlan()


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question: how many ``candidates`` the first look takes by ``source``, and how far the second look goes.

    ``query`` is kept as `check_query` gives it. Raises `UsageError` for an empty or overlong one, and for less than one
    candidate. Which models answer is not asked here: `rerank.factory.resolve_models` says that once.
    """

    query: str
    candidates: int = DEFAULT_CANDIDATES
    source: CandidateSource = CandidateSource.VECTORS
    plan: SecondLookPlan = WHOLE

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", check_query(self.query))
        if self.candidates < 1:
            raise UsageError(f"At least 1 candidate is needed; {self.candidates} were asked for.")


def check_query(query: str) -> str:
    """The query without white space around it; control characters and lone surrogates are spaces.

    Raises `UsageError` where nothing is left, or too much.
    """
    unusable = ("Cc", "Cs")  # lone surrogates are bytes of a terminal that are no UTF-8
    cleaned = "".join(" " if unicodedata.category(sign) in unusable else sign for sign in query).strip()
    if not cleaned:
        raise UsageError("The question is empty. Type a few words.")
    if len(cleaned) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"The question has {len(cleaned):,} characters; {MAX_QUERY_CHARACTERS:,} are the most. Ask it shorter."
        )
    return cleaned
