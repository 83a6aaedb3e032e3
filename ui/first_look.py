"""The first look in words: what it went by, and what found each passage. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.records import Candidate, CandidateSource

BY = {
    CandidateSource.VECTORS: "bi-encoder",
    CandidateSource.WORDS: "words (BM25)",
    CandidateSource.BOTH: "vectors and words",
}


def source_of(before: Sequence[Candidate]) -> CandidateSource:
    """What these candidates were found by; words that found nothing leave only vectors."""
    worded = any(candidate.word_rank is not None for candidate in before)
    near = any(candidate.vector_rank is not None for candidate in before)
    if not worded:
        return CandidateSource.VECTORS
    return CandidateSource.BOTH if near else CandidateSource.WORDS


def found_by(candidate: Candidate, source: CandidateSource) -> str:
    """Where a passage stands by vectors and by words, a dash where one of them did not find it; else empty."""
    if source is CandidateSource.VECTORS:
        return ""
    if source is CandidateSource.WORDS:
        return "" if candidate.bm25 is None else f"BM25 {candidate.bm25:.1f}"
    return f"vectors {candidate.vector_rank or '–'}, words {candidate.word_rank or '–'}"
