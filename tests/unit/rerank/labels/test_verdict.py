"""The running verdict, worked by hand, and what it must never say."""

from __future__ import annotations

from math import log2
from statistics import NormalDist

import numpy as np
import pytest

from ingest.library.label_records import Grade, ModelPair, Places
from rerank.judged.records import Verdict
from rerank.labels.verdict import MIN_QUERIES, SIGNIFICANT, RunningVerdict, queries_needed, weigh

PAIR = ModelPair("encoder", "1", "reranker", "7")
Rows = list[tuple[Grade, int, int]]


def said(*queries: Rows) -> RunningVerdict:
    """The verdict on queries, each with rows of (grade, place before, place after)."""
    judged = {f"q{q}": {f"p{n}": row[0] for n, row in enumerate(rows)} for q, rows in enumerate(queries)}
    seen = {
        f"q{q}": {f"p{n}": Places(*row[1:]) for n, row in enumerate(rows)} for q, rows in enumerate(queries)
    }
    return weigh(PAIR, judged, seen)


BETTER: Rows = [(Grade.RELEVANT, 40, 1), (Grade.NOT, 1, 90)]
WORSE: Rows = [(Grade.RELEVANT, 1, 3), (Grade.NOT, 2, 1)]
SAME: Rows = [(Grade.RELEVANT, 30, 4), (Grade.PARTLY, 50, 9), (Grade.NOT, 80, 60)]


def test_only_judged_passages_count_and_in_their_order() -> None:
    found = said(BETTER)
    # Condensed, the relevant passage stands second of two before, and first after; places 40 and 90 are gone.
    assert (found.before, found.after) == (pytest.approx(1 / log2(3)), pytest.approx(1.0))
    graded = said([(Grade.PARTLY, 1, 2), (Grade.RELEVANT, 2, 1), (Grade.NOT, 3, 3)])
    ideal = 2 + 1 / log2(3)
    assert graded.before == pytest.approx((1 + 2 / log2(3)) / ideal)
    assert graded.after == pytest.approx(1.0)


def test_queries_that_cannot_tell_are_counted_and_left_out() -> None:
    found = weigh(
        PAIR,
        {
            "telling": {"a": Grade.NOT, "b": Grade.RELEVANT, "not retrieved": Grade.RELEVANT},
            "alike": {"a": Grade.RELEVANT, "b": Grade.RELEVANT},
            "one place known": {"a": Grade.RELEVANT, "b": Grade.NOT},
            "unseen": {"a": Grade.RELEVANT, "b": Grade.NOT},
        },
        {
            "telling": {"a": Places(1, 2), "b": Places(2, 1), "not judged any more": Places(3, 3)},
            "alike": {"a": Places(1, 2), "b": Places(2, 1)},
            "one place known": {"a": Places(1, 1)},
            "never judged": {"a": Places(1, 1)},
        },
    )
    assert (found.queries, found.alike, found.unseen) == (1, 2, 1)
    assert found.after == 1.0, "a passage that no order could show counts against both"


def test_helps_and_hurts_are_said_with_enough_queries_and_name_their_models() -> None:
    helps, hurts = said(*[BETTER] * 12, SAME), said(*[WORSE] * 12, SAME)
    assert (helps.verdict, helps.more) == (Verdict.HELPS, 0)
    assert (hurts.verdict, hurts.more) == (Verdict.HURTS, 0)
    assert helps.sentence.startswith("Reranking helps here: nDCG@10 0.6")
    assert "reranker after encoder" in helps.sentence
    assert helps.difference is not None
    assert helps.difference.mean == pytest.approx(12 / 13 * (1 - 1 / log2(3)))


def test_few_queries_give_no_verdict_however_clear_they_are() -> None:
    found = said(*[BETTER] * (MIN_QUERIES - 1))
    assert (found.verdict, found.more) == (Verdict.UNDECIDED, 1)
    assert found.sentence.startswith("Not enough labels yet")
    none = said([(Grade.RELEVANT, 1, 1)])
    assert (none.queries, none.verdict, none.more, none.difference) == (
        0,
        Verdict.UNDECIDED,
        MIN_QUERIES,
        None,
    )
    assert "Not enough labels yet" in none.sentence


def test_an_identical_order_never_helps_and_is_said_to_be_decided_by_enough_of_it() -> None:
    found = said(*[SAME] * 40)
    assert (found.verdict, found.more) == (Verdict.UNDECIDED, 0)
    assert found.sentence.startswith("Undecided")
    mixed = said(*[BETTER, WORSE] * 10)
    assert mixed.verdict is Verdict.UNDECIDED
    assert mixed.more > 0
    assert f"about {mixed.more} more questions" in mixed.sentence


def test_the_number_of_queries_it_takes_is_the_formula_s() -> None:
    gains = [
        0.1,
        -0.1,
    ] * 10  # s = 0.1026, and a mean of 0: the smallest worthwhile difference, 0.05, is looked for
    reach = NormalDist().inv_cdf(1 - SIGNIFICANT / 2) + NormalDist().inv_cdf(0.8)
    assert reach == pytest.approx(3.417, abs=0.001)
    assert queries_needed(gains) == 50 - 20  # (3.417 × 0.1026 / 0.05)² = 49.2
    assert queries_needed([0.35, 0.15] * 10) == 0, "a mean of 0.25 needs far fewer than there are"
    assert queries_needed([0.3]) == MIN_QUERIES - 1


def test_that_many_queries_find_a_difference_of_that_size_four_times_of_five() -> None:
    dice = np.random.default_rng(5)
    pilot = dice.normal(0.05, 0.15, size=30)
    pilot += 0.05 - pilot.mean()
    needed = 30 + queries_needed(pilot.tolist())
    drawn = dice.normal(0.05, pilot.std(ddof=1), size=(4000, needed))
    assert (_z(drawn)[:, -1] > _critical(SIGNIFICANT)).mean() == pytest.approx(0.8, abs=0.05)


def test_looking_after_every_query_does_not_find_what_is_not_there() -> None:
    """The level of 0.01: a verdict on chance in about 6 of 100 series, where 0.05 gives 27."""
    dice = np.random.default_rng(1)
    sizes = dice.choice([0.0, 0.0, 0.0, 0.37, 0.1, 0.2, 0.5, 0.05], size=(2000, 100))
    looks = _z(sizes * dice.choice([-1, 1], size=sizes.shape))[:, MIN_QUERIES - 1 :]
    assert (looks > _critical(SIGNIFICANT)).any(axis=1).mean() == pytest.approx(0.06, abs=0.02)
    assert (looks > _critical(0.05)).any(axis=1).mean() > 0.2


def _z(gains: np.ndarray) -> np.ndarray:
    """The randomisation test's statistic after every query: its null has the variance Σd²."""
    return np.abs(gains.cumsum(axis=1)) / np.sqrt(np.maximum((gains**2).cumsum(axis=1), 1e-12))


def _critical(level: float) -> float:
    return NormalDist().inv_cdf(1 - level / 2)
