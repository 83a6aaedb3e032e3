"""How two rerankers agree, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rerank.agreement import Agreement, agreement
from tests.parts.looks import candidates, search
from ui.presentation.insights import agreement_sentence

FOUR = candidates(4)


def test_shared_places_and_kendalls_tau() -> None:
    # 1 2 3 4 against 2 1 3 4: one of the six pairs stands the other way round, so τ = (5 − 1) / 6.
    found = agreement(search(FOUR, [1, 2, 3, 4]), search(FOUR, [2, 1, 3, 4]), 1)
    assert found == Agreement(top_k=1, shared=0, same_best=False, tau=pytest.approx(4 / 6), compared=4)
    found = agreement(search(FOUR, [1, 2, 3, 4]), search(FOUR, [1, 4, 3, 2]), 2)
    assert (found.shared, found.same_best, found.tau) == (1, True, pytest.approx(0.0))


def test_the_reverse_is_minus_one_and_the_same_is_one() -> None:
    one = search(FOUR, [1, 2, 3, 4])
    assert agreement(one, search(FOUR, [4, 3, 2, 1]), 10).tau == pytest.approx(-1)
    assert agreement(one, one, 10) == Agreement(4, 4, True, pytest.approx(1), 4)


def test_only_what_both_scored_is_compared() -> None:
    stopped = search(FOUR, [3, 1, 2, 4])
    stopped = replace(stopped, after=stopped.after[:2])  # a time budget left 2 and 4 out
    found = agreement(search(FOUR, [1, 3, 2, 4]), stopped, 3)
    assert (found.top_k, found.shared, found.compared, found.tau) == (2, 2, 2, pytest.approx(-1))


def test_without_two_orders_there_is_nothing_to_compare() -> None:
    assert agreement(search(FOUR, [1]), search(FOUR, []), 3) is None
    with pytest.raises(ValueError, match="at least 1"):
        agreement(search(FOUR, [1]), search(FOUR, [1]), 0)


def test_the_sentence_says_both_numbers() -> None:
    found = agreement(search(FOUR, [1, 2, 3, 4]), search(FOUR, [2, 1, 3, 4]), 2)
    assert found is not None
    assert agreement_sentence(found) == (
        "A and B share 2 of their first 2 passages, with another best passage each; over the 4 that both scored, "
        "Kendall’s τ is 0.667 (1 is the same order, 0 no relation)."
    )
