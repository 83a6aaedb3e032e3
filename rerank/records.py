"""The records that the query path makes: RankedHit, Timings, Models, FirstLook, SearchResult."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.models import ResolvedModel
from retrieval.records import Candidate


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A candidate with its place after reranking.

    ``logit`` is the fp32 number that the order goes by. ``relevance`` is in [0, 1] where the
    reranker's scores can honestly be read that way, and ``None`` where they cannot (late interaction).
    ``cross_logit`` is the cross-encoder's own share where the order is a mix with the bi-encoder's
    score, else the same as ``logit``.
    """

    candidate: Candidate
    rank: int
    logit: float
    relevance: float | None
    cross_logit: float

    @property
    def movement(self) -> int:
        """Places gained (positive) or lost (negative) against the bi-encoder's order."""
        return self.candidate.rank - self.rank


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock milliseconds of each stage of one search."""

    encode: float
    retrieve: float
    rerank: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the stages."""
        return self.encode + self.retrieve + self.rerank


@dataclass(frozen=True, slots=True)
class Models:
    """Which models made an answer. ``reranker`` is ``None`` where none could be loaded."""

    encoder: ResolvedModel
    reranker: ResolvedModel | None


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The bi-encoder's answer, before any reranking."""

    query: str
    before: tuple[Candidate, ...]
    timings: Timings
    models: Models
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Both orders of the same candidates, whole: what is shown of them is the face's choice.

    ``reranked`` is false where the reranker failed or gave no usable scores; ``after`` is then
    empty, so that an order which was not reranked can never be shown as one that was.
    ``tokens`` counts the model's tokens per candidate, in the order of ``before`` (empty if unknown),
    and ``truncated`` holds the chunk ids of which the reranker did not see the end.
    """

    query: str
    before: tuple[Candidate, ...]
    after: tuple[RankedHit, ...]
    timings: Timings
    models: Models
    notices: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    truncated: frozenset[int] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.after and {c.chunk.id for c in self.before} != {h.candidate.chunk.id for h in self.after}:
            raise ValueError("the reranked order does not hold the same passages as the order before")

    @property
    def reranked(self) -> bool:
        """Whether there is a second order to show."""
        return bool(self.after)

    def cost_of(self, candidates: int) -> float:
        """Milliseconds that reranking ``candidates`` passages takes here, estimated from this search.

        By tokens where they are known and ``candidates`` is within what was scored, else in
        proportion to the number of passages. 0.0 where nothing was reranked.
        """
        if not self.before or not self.timings.rerank:
            return 0.0
        read: int = sum(self.tokens)
        if read and candidates <= len(self.tokens):
            return self.timings.rerank * sum(self.tokens[:candidates]) / read
        return self.timings.rerank * candidates / len(self.before)


def scored(hits: Sequence[RankedHit]) -> dict[int, RankedHit]:
    """Hits by chunk id."""
    return {hit.candidate.chunk.id: hit for hit in hits}
