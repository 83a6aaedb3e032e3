"""Ordering, worked by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RerankError
from ingest.records import Chunk
from rerank.order import order, relevance
from retrieval.records import Candidate
from tests.fakes import WORD_SCORER


def candidates(count: int) -> list[Candidate]:
    chunks = [Chunk(n + 10, "d", "t", "p", None, None, (), 0, 1, "x") for n in range(count)]
    return [Candidate(chunk, rank, 1 - rank / 100) for rank, chunk in enumerate(chunks, start=1)]


def logits(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_the_highest_logit_comes_first_and_movement_counts_places() -> None:
    hits = order(candidates(3), logits(-1.0, 0.5, 2.0), WORD_SCORER)
    assert [(hit.candidate.rank, hit.rank, hit.movement) for hit in hits] == [
        (3, 1, 2),
        (2, 2, 0),
        (1, 3, -2),
    ]
    assert hits[0].relevance == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_ties_keep_the_first_order_and_saturated_relevance_makes_no_ties() -> None:
    assert [hit.candidate.rank for hit in order(candidates(4), logits(1, 2, 1, 2), WORD_SCORER)] == [
        2,
        4,
        1,
        3,
    ]
    # In double precision both sigmoids are 1.0; the logits still tell them apart.
    hits = order(candidates(2), logits(60.0, 60.5), WORD_SCORER)
    assert [hit.candidate.rank for hit in hits] == [2, 1]
    assert hits[0].relevance == hits[1].relevance == 1.0


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=60).filter(lambda v: len(set(v)) > 1))
def test_no_candidate_is_lost_added_or_doubled(values: list[float]) -> None:
    given_ones = candidates(len(values))
    hits = order(given_ones, logits(*values), WORD_SCORER)
    assert sorted(hit.candidate.chunk.id for hit in hits) == [c.chunk.id for c in given_ones]
    assert [hit.rank for hit in hits] == list(range(1, len(values) + 1))
    assert all(a.logit >= b.logit for a, b in itertools.pairwise(hits))
    assert all(hit.cross_logit == np.float32(values[hit.candidate.rank - 1]) for hit in hits), (
        "a score moved over"
    )


def test_a_mix_adds_the_weighted_cosine_and_keeps_the_models_own_logit() -> None:
    hits = order(candidates(2), logits(0.0, 0.05), replace(WORD_SCORER, bi_weight=10.0))
    assert [hit.candidate.rank for hit in hits] == [1, 2]
    assert hits[0].logit == pytest.approx(0.0 + 10 * 0.99, rel=1e-6)
    assert [hit.cross_logit for hit in hits] == [0.0, pytest.approx(0.05)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.0, np.nan), "1 of 2"),
        ((np.inf, 1.0), "1 of 2"),
        ((3.0, 3.0), "same score"),
        ((1.0,), "1 scores for 2"),
    ],
)
def test_scores_that_order_nothing_are_refused(values: tuple[float, ...], words: str) -> None:
    with pytest.raises(RerankError, match=words):
        order(candidates(2), logits(*values), WORD_SCORER)


def test_relevance_is_there_only_where_the_model_was_trained_for_it() -> None:
    assert relevance(logits(1.0), replace(WORD_SCORER, relevance_scale=None)) is None
    scaled = relevance(logits(3.0, -800.0), replace(WORD_SCORER, relevance_scale=2.0, relevance_shift=-6.0))
    assert scaled is not None
    assert scaled[0] == pytest.approx(0.5)
    assert scaled[1] == 0.0
    assert order(candidates(1), logits(1.0), replace(WORD_SCORER, relevance_scale=None))[0].relevance is None
