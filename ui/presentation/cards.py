"""Cards: a passage at its place in either order, as plain data with every number already words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.records import Chunk
from rerank.calibration.methods import Method
from rerank.calibration.reading import Reading
from rerank.records import RankedHit, SearchResult
from retrieval.fusion import Fusion
from retrieval.records import Candidate, CandidateSource
from ui.presentation.bands import dividers
from ui.presentation.excerpt import excerpt, whole
from ui.presentation.formatting import (
    direction,
    location,
    movement_badge,
    movement_spoken,
    relevance_text,
    three_digits,
)
from ui.presentation.judgements import Shown
from ui.presentation.payload import Card, Passage, Score

COSINE_HELP = (
    "How alike the vectors of the question and the passage are, from −1 to 1: what the first look orders by."
)
ALIKE_HELP = "How alike the vectors of the question and the passage are, from −1 to 1."
FOUND_HELP = (
    "Its places among the nearest vectors and among the best by words (BM25), a dash where that did not find it: the "
    "first look orders by both, fused by reciprocal rank."
)
BM25_HELP = "How much of the question’s words, and how rare ones, stand in the passage: what the first look orders by."
RELEVANCE_HELP = (
    "How well the reranker finds the question answered, from 0 to 1; it is not a measured probability."
)
LOGIT_HELP = (
    "The reranker's raw score, without bounds: higher is better, and it compares passages of one search only."
)
MIX_HELP = "The reranker's score combined with the cosine: what the second look orders by with this model."
SEVERAL_HELP = (
    "The first look and all rerankers as one number, of places or of scores: what the second look orders by."
)
OWN_HELP = (
    "What this reranker gives the passage by itself, and its place by that among the passages that are fused."
)
SEVERAL_UNREAD = "The passage is long, and not every reranker read all of it."
FUSED_HELP = "The places or scores of both looks as one number: what the second look orders by, as you chose."
UNSEEN_END = "The passage is too long for the reranker, which did not see its end."
READ_IN_PART = "The passage is long, and the reranker read the part with most of the question’s words."


def key(chunk: Chunk) -> str:
    """What the browser knows a passage by, the same in both columns."""
    return f"c{chunk.id}"


def passage(chunk: Chunk, mark: tuple[int, int] | None, judged: Shown) -> Passage:
    """What a passage says, with ``mark`` (characters of its text) highlighted, and how it was judged."""
    grade = judged.grades.get(chunk.passage_hash)
    parts = excerpt(chunk.text, mark)
    return Passage(
        title=chunk.title or chunk.path,
        location=location(chunk),
        excerpt=parts,
        full=whole(chunk.text, mark),
        rest=any(part["ellipsis"] for part in parts),
        hash=chunk.passage_hash,
        grade=None if grade is None else int(grade),
        worth=judged.worth.get(chunk.id, ""),
    )


def first_card(candidate: Candidate, hit: RankedHit | None) -> Card:
    """A card of the first order; ``hit`` is the same passage in the second one, if it is there."""
    card = Card(
        key=key(candidate.chunk), rank=candidate.rank, movement=None, direction="same",
        badge="", spoken="", origin="", scores=_first_scores(candidate), notice="", pending=False, above=[],
    )  # fmt: skip
    if hit is not None:
        card["movement"] = hit.movement
        card["direction"] = direction(hit.movement)
        card["origin"] = f"now {hit.rank}" if hit.movement else "stays"
        place = f"place {hit.rank}" if hit.movement else "the same place"
        card["spoken"] = f"{place} in the second look"
    return card


def _first_scores(candidate: Candidate) -> list[Score]:
    cosine = Score(label="cosine", value=three_digits(candidate.score), help=COSINE_HELP)
    if candidate.ordered_by == candidate.score:
        return [cosine]
    cosine["help"] = ALIKE_HELP
    if candidate.bm25 is not None and candidate.ordered_by == candidate.bm25:
        return [Score(label="BM25", value=three_digits(candidate.bm25), help=BM25_HELP), cosine]
    places = found_by(candidate, CandidateSource.BOTH)
    return [cosine, Score(label="found by", value=places, help=FOUND_HELP)]


def pending_cards(unscored: Sequence[Candidate]) -> list[Card]:
    """The first look's order as a stand-in for the second: no score and no movement, for there is none yet.

    Candidates are scored in the first look's order, so the places of those that wait follow the scored ones'.
    """
    cards = [first_card(candidate, None) for candidate in unscored]
    for card in cards:
        card["scores"], card["pending"] = [], True
    return cards


def second_cards(
    hits: Sequence[RankedHit],
    top_k: int,
    result: SearchResult | None,
    reading: Reading | None,
    finished: bool,
) -> list[Card]:
    """The cards of the second order, with its bands once it is whole."""
    cards = [_second_card(hit, top_k, result, reading) for hit in hits]
    if finished and reading is not None and reading.values:
        numbers = [reading.values[hit.candidate.chunk.id] for hit in hits]
        for place, lines in dividers(reading, numbers).items():
            cards[place]["above"] = lines
    return cards


def _second_card(
    hit: RankedHit, top_k: int, result: SearchResult | None, reading: Reading | None = None
) -> Card:
    came_from = hit.candidate.rank
    return Card(
        key=key(hit.candidate.chunk),
        rank=hit.rank,
        movement=hit.movement,
        direction=direction(hit.movement),
        badge=movement_badge(hit.movement),
        spoken=movement_spoken(hit.movement, came_from),
        origin=f"from place {came_from}" if came_from > top_k else "",
        scores=_second_scores(hit, reading, result.fusion if result is not None else None),
        notice=_unread(hit.candidate.chunk, result) if result else "",
        pending=False,
        above=[],
    )


def _unread(chunk: Chunk, result: SearchResult) -> str:
    """What of the passage the reranker did not see, as a sentence; nothing where it saw all."""
    if result.parts and chunk.id in {*result.windows, *result.truncated}:
        return SEVERAL_UNREAD
    if chunk.id in result.windows:
        return READ_IN_PART
    return UNSEEN_END if chunk.id in result.truncated else ""


def _second_scores(hit: RankedHit, reading: Reading | None, fusion: Fusion | None) -> list[Score]:
    if hit.cross_logit is None:
        return _own_scores(hit, fusion)
    # A late-interaction score is no logit.
    label = "score" if hit.relevance is None and fusion is None else "logit"
    scores = [Score(label=label, value=three_digits(hit.cross_logit), help=LOGIT_HELP)]
    value = None if reading is None else reading.values.get(hit.candidate.chunk.id)
    if reading is not None and value is not None and reading.method is not Method.SIGMOID:
        name = reading.method.in_words
        scores.insert(0, Score(label=name, value=relevance_text(value), help=reading.method.reading))
    elif hit.relevance is not None:
        scores.insert(0, Score(label="relevance", value=relevance_text(hit.relevance), help=RELEVANCE_HELP))
    if hit.cross_logit != hit.logit:
        name, help_text = ("fused score", FUSED_HELP) if fusion is not None else ("mixed score", MIX_HELP)
        scores.append(Score(label=name, value=_mix_text(hit, fusion), help=help_text))
    return scores


def _own_scores(hit: RankedHit, fusion: Fusion | None) -> list[Score]:
    """The fused score, and what each reranker gave."""
    own = [
        Score(label=own.reranker, value=f"{three_digits(own.logit)} (place {own.rank})", help=OWN_HELP)
        for own in hit.own
    ]
    return [Score(label="fused score", value=_mix_text(hit, fusion), help=SEVERAL_HELP), *own]


def _mix_text(hit: RankedHit, fusion: Fusion | None) -> str:
    """What the order goes by; sums of reciprocal ranks differ in the fourth decimal."""
    by_rank = fusion is not None and fusion.shares is None
    return f"{hit.logit:.4f}" if by_rank else three_digits(hit.logit)


BY = {
    CandidateSource.VECTORS: "bi-encoder",
    CandidateSource.WORDS: CandidateSource.WORDS.in_words,
    CandidateSource.BOTH: CandidateSource.BOTH.in_words,
}


def source_of(before: Sequence[Candidate]) -> CandidateSource:
    """What these candidates were found by; words that found nothing leave only vectors."""
    worded = any(candidate.word_rank is not None for candidate in before)
    near = any(candidate.vector_rank is not None for candidate in before)
    if not worded:
        return CandidateSource.VECTORS
    return CandidateSource.BOTH if near else CandidateSource.WORDS


def found_by(candidate: Candidate, source: CandidateSource) -> str:
    """The passage's places by vectors and by words, a dash where one of them did not find it; else empty."""
    if source is CandidateSource.VECTORS:
        return ""
    if source is CandidateSource.WORDS:
        return "" if candidate.bm25 is None else f"BM25 {candidate.bm25:.1f}"
    return f"vectors {candidate.vector_rank or '–'}, words {candidate.word_rank or '–'}"
