"""Calibration error, Brier score, reliability and thresholds against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rerank.calibration.labels import Labelled, Labels
from rerank.calibration.quality import (
    brier,
    equal_mass_edges,
    equal_width_edges,
    expected_error,
    measure_quality,
    reliability,
)
from rerank.calibration.thresholds import Sweep, accuracy, learn_best, learn_precise, resample, separation
from rerank.records import Band, Bands
from tests.parts.later import later

roc_auc_score = later("sklearn.metrics", "roc_auc_score")

P = np.array([0.05, 0.1, 0.15, 0.55, 0.6, 0.95])
Y = np.array([False, False, True, True, False, True])


def labels(relevant: list[int], queries: list[int] | None = None) -> Labels:
    names = queries or list(range(len(relevant)))
    return Labels.of([Labelled(str(q), 0.0, bool(y)) for q, y in zip(names, relevant, strict=True)])


def test_error_with_bins_of_equal_width_by_hand() -> None:
    # Halves: (.05 .1 .15 → mean .1, 1 of 3) and (.55 .6 .95 → mean .7, 2 of 3).
    table = reliability(P, Y, equal_width_edges(2))
    assert [(row.start, row.end, row.count) for row in table] == [(0, 0.5, 3), (0.5, 1, 3)]
    assert [(row.predicted, row.observed) for row in table] == [
        pytest.approx((0.1, 1 / 3)),
        pytest.approx((0.7, 2 / 3)),
    ]
    assert expected_error(table) == pytest.approx((3 * (1 / 3 - 0.1) + 3 * (0.7 - 2 / 3)) / 6)
    # Wilson for 1 of 3, by its formula with z = 1.959964.
    z = 1.959964
    middle, half = (1 / 3 + z * z / 6) / (1 + z * z / 3), z / (1 + z * z / 3) * (2 / 27 + z * z / 36) ** 0.5
    assert (table[0].low, table[0].high) == pytest.approx((middle - half, middle + half), abs=1e-5)


def test_error_with_bins_of_equal_mass_by_hand() -> None:
    table = reliability(P, Y, equal_mass_edges(P, 3))
    assert [row.count for row in table] == [2, 2, 2]
    # (.075, 0 of 2), (.35, 2 of 2), (.775, 1 of 2)
    assert expected_error(table) == pytest.approx((2 * 0.075 + 2 * 0.65 + 2 * 0.275) / 6)
    tied = np.array([0.2] * 7 + [0.9])
    rows = reliability(tied, np.zeros(8, np.bool_), equal_mass_edges(tied, 4))
    assert [row.count for row in rows] == [7, 1], "equal probabilities were torn apart"


def test_brier_by_hand_and_against_saying_the_share() -> None:
    squares = [0.05**2, 0.1**2, 0.85**2, 0.45**2, 0.6**2, 0.05**2]
    assert brier(P, Y) == pytest.approx(sum(squares) / 6)
    found = measure_quality(P, Y, queries=2)
    assert (found.labels, found.relevant, found.queries, found.brier_of_share) == (6, 3, 2, 0.25)
    assert found.brier == brier(P, Y)
    assert sum(row.count for row in found.reliability) == 6
    assert all(row.count for row in found.reliability), "an empty bin was listed"


def test_edges_belong_to_the_bin_below_and_ends_are_counted() -> None:
    found = reliability(np.array([0.0, 0.1, 1.0]), np.array([False, False, True]), equal_width_edges(10))
    assert [(row.start, row.end, row.count) for row in found] == [(0, 0.1, 2), (0.9, 1, 1)]
    certain = measure_quality(np.array([0.0, 1.0]), np.array([False, True]), 1)
    assert (certain.ece, certain.ece_equal_mass, certain.brier) == (0, 0, 0)
    level = measure_quality(np.array([0.5, 0.5]), np.array([False, True]), 1)
    assert (level.ece, level.ece_equal_mass, level.brier) == (0, 0, 0.25)


def test_thresholds_by_hand() -> None:
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    rows = labels([1, 0, 1, 1, 0, 0])
    sweep = Sweep.over(p, rows)
    # Accepting 1 … 6: F1 = 2/4, 2/5, 4/6, 6/7, 6/8, 6/9; precision = 1, 1/2, 2/3, 3/4, 3/5, 3/6.
    assert sweep.f1[0] == pytest.approx([2 / 4, 2 / 5, 4 / 6, 6 / 7, 6 / 8, 6 / 9])
    assert sweep.precision[0] == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 3 / 6])
    assert sweep.best()[0] == 0.6
    assert [sweep.precise(wanted)[0] for wanted in (0.75, 0.76, 0.6, 0.5)] == [0.6, 0.9, 0.5, 0.4]
    assert sweep.auc[0] == pytest.approx(7 / 9) == roc_auc_score(rows.relevant, p)
    found = accuracy(p, rows, 0.6)
    assert (found.precision, found.recall, found.f1, found.accepted) == pytest.approx((0.75, 1, 6 / 7, 4))
    nothing = accuracy(p, rows, 0.95)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.accepted) == (1, 0, 0, 0)
    assert np.isnan(Sweep.over(np.array([0.9, 0.1]), labels([0, 1])).precise(0.9)[0])


def test_resampling_draws_whole_queries() -> None:
    # Both queries give the same two rows, so that every draw of two queries is the set itself.
    p = np.array([0.9, 0.2, 0.9, 0.2])
    same = labels([1, 0, 1, 0], [1, 1, 2, 2])
    draws = resample(p, same, 1.0, 50)
    assert draws.best.tolist() == draws.precise.tolist() == [0.9] * 50
    assert draws.auc.tolist() == [1.0] * 50
    # One query holds all that is relevant: draws without it, and of it alone, say nothing and are left out.
    apart = labels([1, 1, 0, 0], [1, 1, 2, 2])
    assert 0 < len(resample(p, apart, 1.0, 50).auc) < 50
    assert len(resample(p, labels([1, 0, 1, 0], [1, 1, 1, 1]), 1.0, 50).auc) == 0


def test_intervals_hold_the_threshold_that_made_the_labels() -> None:
    random = np.random.default_rng(0)
    p = random.random(3000)
    rows = labels((p > 0.62).astype(int).tolist(), [n % 40 for n in range(3000)])
    sweep, draws = Sweep.over(p, rows), resample(p, rows, 1.0, 200)
    best = learn_best(p, rows, sweep, draws)
    assert best.low is not None
    assert best.high is not None
    assert best.low <= best.value <= best.high
    assert best.value == pytest.approx(0.62, abs=0.005)
    assert best.learnt.f1 == 1.0
    assert separation(sweep, draws).clean
    assert learn_precise(p, rows, sweep, draws, 2.0) is None


def test_labels_that_have_nothing_to_do_with_scores_are_not_separated() -> None:
    random = np.random.default_rng(5)
    p, y = random.random(400), (random.random(400) < 0.3).astype(int).tolist()
    rows = labels(y, [n % 20 for n in range(400)])
    found = separation(Sweep.over(p, rows), resample(p, rows, 1.0, 300))
    assert not found.clean
    assert found.low is not None
    assert found.low <= 0.5 <= found.high  # type: ignore[operator]
    assert found.reason == "No clean separation: relevant passages do not score reliably higher than others."


def test_a_threshold_that_is_no_better_than_accepting_all_is_none() -> None:
    # Nearly all relevant, the one that is not in the middle: AUC .75, but leaving it out costs more than it brings.
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    rows = labels([1, 1, 1, 0, 1], [1, 1, 1, 1, 1])
    found = separation(Sweep.over(p, rows), resample(p, rows))
    assert found.auc == 0.75
    assert found.reason == "No clean separation: no threshold does better than accepting every passage."


def test_bands_have_their_edges_and_refuse_to_cross() -> None:
    bands = Bands()
    assert [bands.of(p) for p in (1, 0.7, 0.69, 0.4, 0.39, 0)] == [
        Band.HIGHLY, Band.HIGHLY, Band.POSSIBLY, Band.POSSIBLY, Band.UNLIKELY, Band.UNLIKELY
    ]  # fmt: skip
    with pytest.raises(ValueError, match="do not rise"):
        Bands(0.3, 0.4)
