"""The records that retrieval makes: where candidates come from, and a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ingest.records import Chunk


class CandidateSource(StrEnum):
    """What the first look finds candidates by: the nearest vectors, BM25 over the words, or both fused (RRF)."""

    VECTORS = "vectors"
    WORDS = "words"
    BOTH = "both"

    @property
    def in_words(self) -> str:
        """The source for people: “vectors”, “words (BM25)”, “vectors and words”."""
        return _IN_WORDS[self]


_IN_WORDS = {
    CandidateSource.VECTORS: "vectors",
    CandidateSource.WORDS: "words (BM25)",
    CandidateSource.BOTH: "vectors and words",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage as the first look ranks it: ``rank`` from 1, ``score`` the cosine in [-1, 1], whatever found it.

    ``vector_rank`` and ``word_rank`` are its places among the nearest vectors and the best by BM25, ``None`` where
    that list does not hold it or was not asked for; ``bm25`` is its score there. ``first_score`` is what the first
    look ordered by: the cosine, BM25, or the sum of reciprocal ranks; ``None`` stands for the cosine.
    """

    chunk: Chunk
    rank: int
    score: float
    vector_rank: int | None = None
    word_rank: int | None = None
    bm25: float | None = None
    first_score: float | None = None

    @property
    def ordered_by(self) -> float:
        """The number that the first look's order goes by; higher is better."""
        return self.score if self.first_score is None else self.first_score
