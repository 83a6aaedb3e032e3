"""Fusion, on cases that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ingest.errors import RerankError, UsageError
from retrieval.fusion import Fusion, mixed, places, reciprocal_rank, standardised, weighted


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_equal_scores_keep_the_order_in_which_they_came() -> None:
    assert places(array(1, 3, 1, 3)).tolist() == [1, 3, 0, 2]


def test_the_mix_is_the_logit_plus_the_weighted_cosine() -> None:
    assert mixed(array(1, -1), array(0.5, 0.25), 4.0).tolist() == [3.0, 0.0]


def test_standardised_scores_have_mean_nought_and_spread_one() -> None:
    # Mean 3, deviations −2, 0, 2, standard deviation √(8/3).
    assert standardised(array(1, 3, 5)) == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    assert standardised(array(0.1, 0.1, 0.1)).tolist() == [0, 0, 0]
    assert standardised(array()).tolist() == []


def test_weighted_fusion_weighs_scores_that_were_made_comparable() -> None:
    first, second = array(0.9, 0.7), array(-40, 40)  # standardised: 1, −1 and −1, 1
    assert weighted(first, second, 0.75) == pytest.approx([-0.5, 0.5])
    assert weighted(first, second, 0.25) == pytest.approx([0.5, -0.5])
    assert weighted(first, second).tolist() == [0, 0], "even shares of opposite opinions"
    assert weighted(array(0.9, 0.7), array(2, 2), 1.0).tolist() == [0, 0], "a reranker without an opinion"


def test_reciprocal_ranks_are_summed_with_sixty_added() -> None:
    # First ranking: a, b, c. Second: c, b, a.
    fused = reciprocal_rank((array(0.9, 0.8, 0.7), array(-1, 0, 5)))
    assert fused == pytest.approx([1 / 61 + 1 / 63, 2 / 62, 1 / 63 + 1 / 61])
    assert places(fused).tolist() == [0, 2, 1], "1/61 + 1/63 is more than 2/62, and ties keep the first order"
    assert reciprocal_rank((array(3, 9),), k=0) == pytest.approx([1 / 2, 1])


def test_a_fusion_is_named_in_settings_and_named_back() -> None:
    assert [str(Fusion.of(text)) for text in ("RRF", "weighted", " weighted:0.3 ")] == [
        "rrf", "weighted:0.5", "weighted:0.3"
    ]  # fmt: skip
    for wrong in ("", "rrf:60", "weighted:", "weighted:much", "mean"):
        with pytest.raises(UsageError, match=f"“{wrong}” is no fusion"):
            Fusion.of(wrong)
    for outside in ("weighted:1.1", "weighted:nan"):
        with pytest.raises(UsageError, match="from 0 to 1"):
            Fusion.of(outside)


def test_what_cannot_be_fused_is_refused() -> None:
    with pytest.raises(ValueError, match=r"arrays of \[2, 1\]"):
        weighted(array(1, 2), array(1))
    with pytest.raises(ValueError, match="arrays of"):
        reciprocal_rank(())
    with pytest.raises(ValueError, match="from 0 to 1"):
        weighted(array(1), array(1), 1.5)


def test_a_fusion_of_several_is_named_in_settings_and_named_back() -> None:
    named = ("RRF", "weighted", " weighted:0.5,0.3 ", "weighted:0.1,0.2,0.7")
    assert [str(Fusion.of_ensemble(text)) for text in named] == [
        "rrf", "weighted", "weighted:0.5,0.3", "weighted:0.1,0.2,0.7"
    ]  # fmt: skip
    for wrong in ("", "rrf:60", "weighted:", "weighted:much,more", "mean"):
        with pytest.raises(UsageError, match=f"“{wrong}” is no fusion of rerankers"):
            Fusion.of_ensemble(wrong)
    with pytest.raises(UsageError, match=r"1 together at most; 1\.1 was given"):
        Fusion.of_ensemble("weighted:0.5,0.6")
    with pytest.raises(UsageError, match=r"“weighted:0\.5,0\.3” is no fusion: take rrf"):
        Fusion.of("weighted:0.5,0.3")


def test_several_rerankers_and_the_first_look_are_one_score() -> None:
    # Standardised: 1, −1 and −1, 1 and 1, −1; ranks 1, 2 and 2, 1 and 1, 2.
    first, one, other = array(0.9, 0.7), array(-40, 40), array(3, 1)
    even, shares = Fusion.of_ensemble("weighted"), Fusion.of_ensemble("weighted:0.7,0.1")
    assert even.fused(first, one, other) == pytest.approx([1 / 3, -1 / 3])
    assert shares.fused(first, one, other) == pytest.approx([0.2 - 0.7 + 0.1, -0.4 + 0.8])
    assert shares.weights((True, True)) == pytest.approx((0.2, 0.7, 0.1))
    rrf = Fusion.of_ensemble("rrf")
    assert rrf.fused(first, one, other) == pytest.approx([2 / 61 + 1 / 62, 2 / 62 + 1 / 61])


def test_one_that_failed_is_left_out_and_the_others_keep_their_proportions() -> None:
    first, other = array(0.9, 0.7), array(1, 3)
    shares = Fusion.of_ensemble("weighted:0.5,0.3")
    assert shares.weights((False, True)) == pytest.approx((0.4, 0.6))
    assert shares.fused(first, None, other) == pytest.approx([0.4 - 0.6, -0.4 + 0.6])
    assert Fusion.of_ensemble("rrf").fused(first, None, other) == pytest.approx([1 / 61 + 1 / 62] * 2)
    with pytest.raises(RerankError, match="none of the rerankers that are left has a share"):
        Fusion.of_ensemble("weighted:0.5,0").fused(first, None, other)
    with pytest.raises(ValueError, match="one reranker at least"):
        Fusion.of_ensemble("rrf").fused(first, None, None)
    with pytest.raises(UsageError, match=r"holds 2 of the rerankers' shares, and 3 are fused"):
        shares.fused(first, other, other, other)
