"""The records that the query path makes: RankedHit, Timings, Models, FirstLook, Stopped, SearchResult, Part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.models.spec import ResolvedModel
from ingest.notices import Notice
from retrieval.fusion import Fusion
from retrieval.records import Candidate, CandidateSource


@dataclass(frozen=True, slots=True)
class OwnScore:
    """What one of several rerankers that are fused gave a passage: its ``logit``, and the ``rank`` by that alone.

    Ranks are from 1, among the passages of the fused order.
    """

    reranker: str
    logit: float
    rank: int


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A candidate with its place after reranking.

    ``logit`` is the number that the order goes by: the reranker's fp32 logit, a mix of it with the cosine, or a fused
    score. ``relevance`` is in [0, 1] where that can honestly be read so, and ``None`` where it cannot (late
    interaction, fusion). ``cross_logit`` is the reranker's own score, the same as ``logit`` where nothing is mixed in;
    where several rerankers are fused it is ``None``, and ``own`` has the score of each, in the order of the parts that
    have one.
    """

    candidate: Candidate
    rank: int
    logit: float
    relevance: float | None
    cross_logit: float | None
    own: tuple[OwnScore, ...] = ()

    @property
    def movement(self) -> int:
        """Places gained (positive) or lost (negative) against the first look's order."""
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
    """Which models made an answer. ``reranker`` is ``None`` where none could be loaded.

    ``window`` is how many tokens of a passage it reads at most, ``None`` for as many as it has room for.
    """

    encoder: ResolvedModel
    reranker: ResolvedModel | None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The answer by ``source`` alone, before any reranking."""

    query: str
    before: tuple[Candidate, ...]
    timings: Timings
    models: Models
    notices: tuple[Notice, ...] = ()
    source: CandidateSource = CandidateSource.VECTORS


class Stopped(StrEnum):
    """Why a second look ended before every candidate was scored."""

    BUDGET = "budget"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The first look's order whole, and the second order of those passages that the reranker scored.

    How many are shown is the face's choice. ``before`` holds every candidate; ``after`` holds the scored ones,
    all of them unless the second look is still under way or was ``stopped`` early. ``after`` is empty where
    the reranker failed or gave no usable scores, so that an order which was not reranked can never be shown as
    one that was. Candidates are scored in the order of ``before``: ``tokens`` counts the model's tokens for the
    scored ones, in that order (empty if unknown), and ``truncated`` holds the chunk ids of which the
    reranker did not see the end. ``windows`` holds those of which it read a part only, chosen by the query: chunk id →
    characters ``[start, end)`` of the chunk's text. ``cached`` of the scores were known from an earlier search.
    ``cold`` is a second look in whose time its reranker's first run is, which takes longer than all that follow.
    ``source`` is what the first look went by. ``fusion`` makes ``after`` a mix of both looks; ``None`` leaves the
    order to the reranker. ``parts`` are the rerankers that it mixes where it is of several (see `rerank.ensemble`):
    ``models`` are then the first one's, ``tokens`` are not known, and ``windows`` and ``truncated`` hold what any of
    them did not read whole.
    """

    query: str
    before: tuple[Candidate, ...]
    after: tuple[RankedHit, ...]
    timings: Timings
    models: Models
    notices: tuple[Notice, ...] = ()
    tokens: tuple[int, ...] = ()
    truncated: frozenset[int] = field(default_factory=frozenset)
    stopped: Stopped | None = None
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    cached: int = 0
    source: CandidateSource = CandidateSource.VECTORS
    fusion: Fusion | None = None
    parts: tuple[Part, ...] = ()
    cold: bool = False

    def __post_init__(self) -> None:
        ranked = {hit.candidate.chunk.id for hit in self.after}
        if len(ranked) < len(self.after):
            raise ValueError("the reranked order holds a passage twice")
        if not ranked <= {candidate.chunk.id for candidate in self.before}:
            raise ValueError("the reranked order holds a passage that the order before does not hold")

    @property
    def reranked(self) -> bool:
        """Whether there is a second order to show."""
        return bool(self.after)

    @property
    def why_not(self) -> Notice | None:
        """Why there is none; ``None`` where there is one, or the second look is still under way."""
        return (
            None if self.reranked else next((notice for notice in self.notices if notice.kind.no_order), None)
        )

    @property
    def scored(self) -> int:
        """How many candidates are in the second order."""
        return len(self.after)

    @property
    def complete(self) -> bool:
        """Whether every candidate is in the second order."""
        return len(self.after) == len(self.before)

    @property
    def reordered(self) -> tuple[Candidate, ...]:
        """All candidates: the scored ones in the reranker's order, then the others in the first look's."""
        ranked = by_chunk_id(self.after)
        rest = (candidate for candidate in self.before if candidate.chunk.id not in ranked)
        return (*(hit.candidate for hit in self.after), *rest)

    def cost_of(self, candidates: int) -> float:
        """Milliseconds that reranking ``candidates`` passages takes here, estimated from this search.

        By tokens where they are known and ``candidates`` is within what was scored, else in
        proportion to the number of passages. Passages whose scores were known from before took no time, and are
        taken to be as long as the others. 0.0 where nothing was reranked, or every score was known.
        """
        ran = self.scored - self.cached
        if not ran or not self.timings.rerank:
            return 0.0
        a_passage = self.timings.rerank / ran
        read: int = sum(self.tokens)
        if read and candidates <= len(self.tokens):
            return a_passage * len(self.tokens) * sum(self.tokens[:candidates]) / read
        return a_passage * candidates


@dataclass(frozen=True, slots=True)
class Part:
    """One of several rerankers whose scores are fused: its name in a word or two, and what it made of the first look.

    ``failure`` says why there is no ``result``. ``share`` is what it counts in a weighted fusion of
    those that have an order; ``None`` by reciprocal rank, and of one that has none.
    """

    name: str
    result: SearchResult | None
    failure: Notice | None = None
    share: float | None = None

    @property
    def reranked(self) -> bool:
        """Whether it has an order to fuse."""
        return self.result is not None and self.result.reranked

    @property
    def why_not(self) -> Notice | None:
        """Why it has none; ``None`` where it has one."""
        return self.failure if self.result is None or self.result.reranked else self.result.why_not


def by_chunk_id(hits: Sequence[RankedHit]) -> dict[int, RankedHit]:
    """Hits by chunk id."""
    return {hit.candidate.chunk.id: hit for hit in hits}


class Band(StrEnum):
    """What a probability of being relevant is called."""

    HIGHLY = "highly relevant"
    POSSIBLY = "possibly relevant"
    UNLIKELY = "unlikely to be relevant"


@dataclass(frozen=True, slots=True)
class Bands:
    """The probabilities from which a passage is called highly, and possibly, relevant."""

    highly: float = 0.7
    possibly: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.possibly <= self.highly <= 1:
            raise ValueError(f"bands from {self.possibly} and {self.highly} do not rise within 0 and 1")

    def of(self, probability: float) -> Band:
        """The band of a probability; its edge belongs to it. Never ask it of a relative method's numbers."""
        if probability >= self.highly:
            return Band.HIGHLY
        return Band.POSSIBLY if probability >= self.possibly else Band.UNLIKELY
