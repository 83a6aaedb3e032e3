"""Candidates by words and by both, against BM25's order, ranks fused by hand and cosines worked out by hand."""

from __future__ import annotations

from math import sqrt

import pytest

from ingest.library.writer import writing
from retrieval.fusion import reciprocal_ranks
from retrieval.records import CandidateSource
from retrieval.retriever import NO_WORDS, Retriever
from tests.conftest import Desk

VECTORS, WORDS, BOTH = CandidateSource


@pytest.fixture
def stocked(desk: Desk) -> Desk:
    """Ten spare parts: to the encoder, which knows no codes, each is as near to a question about one as any other."""
    parts = [f"gasket KX-{4400 + number} fits every pump" for number in range(10)]
    desk.add(*(desk.write(f"part{number}.txt", text) for number, text in enumerate(parts)))
    desk.add(desk.write("snake.txt", "snake venom"))
    return desk


def test_a_code_that_vectors_cannot_tell_apart_is_found_by_its_words(stocked: Desk) -> None:
    retriever = Retriever(stocked.library, stocked.encoder)
    query = "which pump takes KX-4407"
    near = retriever.retrieve(query, 11).candidates
    assert len({round(c.score, 5) for c in near[:10]}) == 1, "vectors see no difference"
    (best, *_) = retriever.retrieve(query, 11, WORDS).candidates
    assert best.chunk.title == "part7"
    assert "part7" not in [c.chunk.title for c in retriever.retrieve(query, 3).candidates]
    ranks = {c.chunk.title: c.word_rank for c in retriever.retrieve(query, 3, BOTH).candidates}
    assert ranks["part7"] == 1


def test_the_cosine_of_what_words_alone_found_is_that_of_its_stored_vector(stocked: Desk) -> None:
    retriever = Retriever(stocked.library, stocked.encoder)
    (found,) = retriever.retrieve("venom KX", 1, WORDS).candidates[:1]
    # "snake\nsnake venom" counts 2 and 1, the question one “venom” and one unknown word: 1 / (√5 · √2).
    assert found.chunk.title == "snake"
    assert found.score == pytest.approx(1 / sqrt(10), abs=1e-6)
    assert (found.rank, found.vector_rank, found.word_rank) == (1, None, 1)
    assert found.ordered_by == found.bm25 != found.score
    everything = {c.chunk.id: c.score for c in retriever.retrieve("venom KX", 99).candidates}
    by_words = retriever.retrieve("venom KX", 99, WORDS).candidates
    assert {c.chunk.id: pytest.approx(c.score, abs=1e-6) for c in by_words}.items() <= everything.items()


def test_both_are_fused_by_reciprocal_rank(stocked: Desk) -> None:
    retriever = Retriever(stocked.library, stocked.encoder)
    query, count = "snake pump KX-4403", 6
    near, worded = (retriever.retrieve(query, count, source).candidates for source in (VECTORS, WORDS))
    fused = retriever.retrieve(query, count, BOTH).candidates
    ranks = {
        source: {c.chunk.id: c.rank for c in found} for source, found in ((VECTORS, near), (WORDS, worded))
    }
    for place, candidate in enumerate(fused, start=1):
        name = candidate.chunk.id
        assert candidate.rank == place
        assert (candidate.vector_rank, candidate.word_rank) == (
            ranks[VECTORS].get(name),
            ranks[WORDS].get(name),
        )
        shares = [1 / (60 + rank) for rank in (candidate.vector_rank, candidate.word_rank) if rank]
        assert candidate.ordered_by == pytest.approx(sum(shares))
    sums = [candidate.ordered_by for candidate in fused]
    assert sums == sorted(sums, reverse=True)
    assert len(fused) == count


def test_reciprocal_ranks_by_hand() -> None:
    assert reciprocal_ranks([[7, 8], [8, 9, 7]]) == {
        7: pytest.approx(1 / 61 + 1 / 63), 8: pytest.approx(1 / 62 + 1 / 61), 9: pytest.approx(1 / 62)
    }  # fmt: skip


def test_a_question_without_a_known_word_says_so_and_leaves_the_vectors(stocked: Desk) -> None:
    retriever = Retriever(stocked.library, stocked.encoder)
    by_words = retriever.retrieve("zebra ?!", 5, WORDS)
    assert (by_words.candidates, by_words.notices) == ((), (NO_WORDS,))
    both, near = retriever.retrieve("zebra", 5, BOTH), retriever.retrieve("zebra", 5)
    assert [c.chunk.id for c in both.candidates] == [c.chunk.id for c in near.candidates]
    assert both.notices == (NO_WORDS,)
    assert near.notices == ()


def test_words_follow_what_is_added_and_deleted(stocked: Desk) -> None:
    retriever = Retriever(stocked.library, stocked.encoder)
    with writing(stocked.library) as writer:
        writer.delete([stocked.library.find("part7").id])
    assert retriever.retrieve("4407", 5, WORDS).candidates == ()
    stocked.add(stocked.write("new.txt", "gasket KX-4407 is back"))
    assert {c.chunk.title for c in retriever.retrieve("4407", 5, WORDS).candidates} == {"new"}
