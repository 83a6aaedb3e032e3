"""Methods, fitted curves, the whole calibration, and its file: known answers, and laws over random logits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.errors import UsageError
from ingest.library.library import Manifest
from ingest.library.snapshot import Sketch
from rerank.calibration.calibrate import calibrate, choose_method, out_of_fold
from rerank.calibration.curves import Logistic, Steps, fit, fit_isotonic, fit_platt, fit_temperature
from rerank.calibration.labels import Labelled, Labels, TooFewLabelsError, halves, shortage
from rerank.calibration.methods import FITTED, Method, list_softmax, min_max, read
from rerank.calibration.records import LibraryState, apply, nothing_answers
from tests.fakes import WORD_ENCODER, WORD_SCORER

LIBRARY = LibraryState(Manifest.of(WORD_ENCODER, 32), Sketch(0, ()))
NO_RELEVANCE = replace(WORD_SCORER, name="late", relevance_scale=None)


def drawn(
    count: int, scale: float, shift: float, queries: int = 50, spread: float = 3.0, seed: int = 1
) -> list[Labelled]:
    """Rows whose chance of being relevant is sigmoid(scale · logit + shift)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, count)
    relevant = random.random(count) < 1 / (1 + np.exp(-(scale * logits + shift)))
    return [
        Labelled(f"q{row % queries}", float(logit), bool(hit))
        for row, (logit, hit) in enumerate(zip(logits, relevant, strict=True))
    ]


def labels(logits: list[float], relevant: list[int]) -> Labels:
    return Labels.of([Labelled("q", x, bool(y)) for x, y in zip(logits, relevant, strict=True)])


def rising(values: NDArray[np.float64]) -> bool:
    return bool((np.diff(values) >= 0).all())


LISTS = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40)
LABELLED = st.lists(st.tuples(st.floats(-50, 50, width=32), st.booleans()), min_size=1, max_size=40)


@settings(deadline=None)
@given(LISTS, st.floats(0.01, 100))
def test_methods_without_labels_keep_every_order_and_stay_within_0_and_1(
    logits: list[float], temperature: float
) -> None:
    ordered = np.sort(np.array(logits, dtype=np.float32))
    for method in (Method.SIGMOID, Method.SOFTMAX, Method.MIN_MAX):
        values = read(method, ordered, WORD_SCORER, temperature)
        assert values is not None
        assert rising(values)
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12


@settings(deadline=None)  # a busy machine is not a fault
@given(LABELLED, LISTS)
def test_fitted_curves_never_fall_whatever_they_were_fitted_to(
    judged: list[tuple[float, bool]], logits: list[float]
) -> None:
    rows = labels([x for x, _ in judged], [y for _, y in judged])
    at_points = [x for x, _ in judged]
    ordered = np.sort(np.array(logits + at_points, dtype=np.float32))
    for method in FITTED:
        values = fit(method, rows, WORD_SCORER).probabilities(ordered)
        assert rising(values), method
        assert 0 <= values[0] <= values[-1] <= 1


def test_relative_methods_by_hand_and_named_as_relative() -> None:
    logits = np.array([0.0, 1.0, 3.0], dtype=np.float32)
    assert min_max(logits) == pytest.approx([0, 1 / 3, 1])
    assert min_max(np.array([2.0, 2.0])) == pytest.approx([1, 1])
    e = np.exp([0.0, 0.5, 1.5])
    assert list_softmax(logits, 2.0) == pytest.approx(e / e.sum())
    assert min_max(logits[:0]).shape == list_softmax(logits[:0]).shape == (0,)
    assert [method for method in Method if method.relative] == [Method.SOFTMAX, Method.MIN_MAX]
    for method in (Method.SOFTMAX, Method.MIN_MAX):
        assert "this list" in method.reading
        assert "even where no passage is relevant" in method.reading
    assert read(Method.SIGMOID, logits, NO_RELEVANCE) is None
    with pytest.raises(UsageError, match="above 0"):
        list_softmax(logits, 0.0)
    with pytest.raises(UsageError, match="fit it first"):
        read(Method.PLATT, logits, WORD_SCORER)


def test_platt_finds_the_scale_and_shift_that_made_the_labels() -> None:
    found = fit_platt(Labels.of(drawn(40_000, 0.6, -2.0)))
    assert (found.scale, found.shift) == pytest.approx((0.6, -2.0), abs=0.06)
    shifted = fit_platt(
        Labels.of([replace(row, logit=row.logit * 10 + 500) for row in drawn(40_000, 0.6, -2.0)])
    )
    assert (shifted.scale, shifted.shift) == pytest.approx((found.scale / 10, found.shift - 50 * found.scale))


def test_platt_softens_its_targets_as_the_paper_says() -> None:
    # Two logits, ±1, all relevant above: targets are 4/5 and 1/5, which the curve meets exactly.
    found = fit_platt(labels([1, 1, 1, -1, -1, -1], [1, 1, 1, 0, 0, 0]))
    assert found.probabilities(np.array([1.0, -1.0])) == pytest.approx([0.8, 0.2], abs=1e-6)


def test_temperature_finds_the_one_that_made_the_labels() -> None:
    spec = replace(WORD_SCORER, relevance_scale=2.0, relevance_shift=-3.0)
    found = fit_temperature(Labels.of(drawn(40_000, 2.0 / 2.5, -3.0 / 2.5)), spec)
    assert found.temperature == pytest.approx(2.5, abs=0.1)
    assert (found.scale, found.shift) == pytest.approx((2.0 / found.temperature, -3.0 / found.temperature))
    with pytest.raises(UsageError, match="those of late cannot"):
        fit_temperature(Labels.of(drawn(100, 1, 0)), NO_RELEVANCE)


def test_isotonic_pools_what_falls() -> None:
    found = fit_isotonic(labels([0, 1, 2, 3], [0, 1, 0, 1]))
    assert found.probabilities(np.array([-9.0, 0, 1, 1.5, 2, 3, 9])) == pytest.approx(
        [0, 0, 0.5, 0.5, 0.5, 1, 1]
    )
    assert found.probabilities(np.array([2.5])) == pytest.approx([0.75])
    one = fit_isotonic(labels([7], [1]))
    assert one.probabilities(np.array([-1.0, 99.0])) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("logits", "relevant", "share"),
    [([5, 5, 5, 5], [1, 0, 0, 1], 0.5), ([-2, -1, 1, 2], [1, 1, 0, 0], 0.5), ([1, 2, 3], [1, 1, 1], 0.8)],
)
def test_labels_that_no_rising_curve_explains_give_the_level_one(
    logits: list[float], relevant: list[int], share: float
) -> None:
    found = fit_platt(labels(logits, relevant))
    assert found.probabilities(np.array([-100.0, 100.0]) / 100) == pytest.approx([share, share], abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Logistic(-1.0, 0.0),
        lambda: Logistic(float("nan"), 0.0),
        lambda: Steps((), ()),
        lambda: Steps((0.0, 1.0), (0.5, 0.4)),
        lambda: Steps((1.0, 0.0), (0.1, 0.2)),
        lambda: Steps((0.0,), (float("nan"),)),
        lambda: Labelled("q", float("inf"), True),
    ],
)
def test_records_that_would_turn_an_order_round_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"curve|logit"):
        make()  # type: ignore[operator]


def test_calibration_is_measured_on_other_queries_and_mends_a_bad_score() -> None:
    rows, others = halves(drawn(4000, 0.5, -2.5))
    found = calibrate(rows, WORD_SCORER, LIBRARY, precision=0.7, held_out=others)
    assert found.evidence is not None
    assert found.evidence.before is not None
    assert found.evidence.after.ece < 0.03 < 0.2 < found.evidence.before.ece
    assert found.evidence.after.brier < found.evidence.after.brier_of_share < found.evidence.before.brier
    assert (found.labels, found.queries) == (len(rows), 25)
    assert found.evidence.after.labels == len(others)
    assert found.method in FITTED
    assert found.notices == ()
    assert found.best is not None
    assert found.precise is not None
    assert found.threshold is found.precise
    assert found.precise.learnt.precision >= 0.7
    assert found.precise.held_out is not None
    assert found.precise.held_out.precision == pytest.approx(0.7, abs=0.1)
    with pytest.raises(ValueError, match="keep them apart"):
        calibrate(rows, WORD_SCORER, LIBRARY, held_out=rows[:1])


def test_cross_validation_reads_a_query_by_a_curve_that_never_saw_it() -> None:
    # Isotonic on labels of its own queries is perfect here; on other queries it knows nothing.
    rows = [Labelled(f"q{n}", float(n + k / 10), k % 2 == n % 2) for n in range(10) for k in range(2)]
    found = calibrate(rows, WORD_SCORER, LIBRARY, Method.ISOTONIC)
    assert found.evidence is not None
    assert found.evidence.source == "cross-validation by query, 5 folds"
    assert found.evidence.after.brier > 0.2
    every = Labels.of(rows)
    flattering = float(np.mean((apply(found, every.logits) - every.relevant) ** 2))
    assert flattering < found.evidence.after.brier
    moved = Labels.of([replace(row, relevant=True) if row.query == "q3" else row for row in rows])
    own = every.query == 3
    assert out_of_fold(moved, Method.PLATT, WORD_SCORER)[own] == pytest.approx(
        out_of_fold(every, Method.PLATT, WORD_SCORER)[own], abs=1e-9
    )


def test_auto_takes_what_the_labels_ask_for() -> None:
    right = Labels.of(drawn(900, 1.0, 0.0))
    assert choose_method(right, NO_RELEVANCE) is Method.PLATT
    shifted = Labels.of(drawn(900, 1.0, -4.0))
    assert choose_method(shifted, WORD_SCORER) is Method.PLATT, "no temperature moves the middle"
    random = np.random.default_rng(3)
    stairs = [
        Labelled(f"q{n % 60}", float(x), bool(random.random() < (0.05 if x < 1 else 0.5 if x < 9 else 0.95)))
        for n, x in enumerate(random.uniform(-2, 12, 6000))
    ]
    assert choose_method(Labels.of(stairs), WORD_SCORER) is Method.ISOTONIC


def test_few_labels_are_fitted_and_said_to_be_few() -> None:
    rows = [Labelled("a", 3.0, True), Labelled("a", 1.0, False), Labelled("a", 2.0, True)]
    found = calibrate(rows, WORD_SCORER, LIBRARY, Method.ISOTONIC)
    assert found.evidence is None, "one query cannot be held out of itself"
    assert found.best is not None
    assert (found.best.low, found.best.high) == (None, None)
    assert "about 997 more labels and labels of 9 more queries would do" in found.notices[0]
    # 4 of 10 are relevant: 20 of them are 50 labels, 40 more.
    ten = Labels.of([Labelled(f"q{n}", float(n), n > 5) for n in range(10)])
    assert "about 40 more labels would do" in shortage(ten, 20)
    assert shortage(ten, 4) == ""
    for kind in (True, False):
        with pytest.raises(TooFewLabelsError, match="Judge some passages that are"):
            calibrate([Labelled("a", 1.0, kind)], WORD_SCORER, LIBRARY)
    with pytest.raises(TooFewLabelsError, match="no labels"):
        calibrate([], WORD_SCORER, LIBRARY)


def test_late_interaction_gets_a_probability_only_by_fitting() -> None:
    found = calibrate(drawn(2000, 0.8, -1.0), NO_RELEVANCE, LIBRARY, Method.PLATT)
    assert found.evidence is not None
    assert found.evidence.before is None
    assert found.evidence.after.ece < 0.05
    assert apply(found, np.array([10.0]))[0] > 0.95


def test_nothing_answers_only_where_the_best_is_below_a_threshold_that_means_something() -> None:
    found = calibrate(drawn(2000, 1.5, -2.0), WORD_SCORER, LIBRARY, Method.PLATT)
    assert nothing_answers(found, np.array([-9.0, -7.0])) is not None
    assert nothing_answers(found, np.array([-9.0, 7.0])) is None
    assert nothing_answers(found, np.array([])) is None
    noise = calibrate(drawn(2000, 0.0, 0.0), WORD_SCORER, LIBRARY, Method.PLATT)
    assert noise.threshold is None
    assert noise.answers_from is None
    assert nothing_answers(noise, np.array([-9.0])) is None


def lists(prefix: str, answers: list[float], others: list[float]) -> list[Labelled]:
    """A query for each answer, with one other candidate beside it."""
    return [
        Labelled(f"{prefix}{n}", logit, hit)
        for n, pair in enumerate(zip(answers, others, strict=True))
        for logit, hit in zip(pair, (True, False), strict=True)
    ]


def test_what_it_does_to_unanswered_questions_is_measured_on_others() -> None:
    learnt = lists("a", [3.0, *[4.0] * 39], [-4.0] * 40)
    held_out = lists("b", [4.0, 4.0, 4.0, 1.0], [-4.0, -4.0, 5.0, -4.0])
    found = calibrate(learnt, WORD_SCORER, LIBRARY, Method.PLATT, held_out=held_out)
    assert found.answers_from == apply(found, np.array([4.0]))[0], "one query in forty may fall below"
    assert found.evidence is not None
    assert (found.evidence.false_alarms, found.evidence.caught) == (0.25, 0.75)
    assert calibrate(learnt[:18], WORD_SCORER, LIBRARY).answers_from is None, "nine queries show no threshold"


def test_without_held_out_labels_it_is_measured_on_questions_left_out_in_turn() -> None:
    # In one of forty questions the relevant passage scores low; in four, another one scores as high as it.
    answers = [1.0 if n == 5 else 4.0 for n in range(40)]
    others = [4.0 if n % 10 == 3 else -4.0 for n in range(40)]
    found = calibrate(lists("a", answers, others), WORD_SCORER, LIBRARY, Method.PLATT)
    assert found.answers_from is not None
    assert found.evidence is not None
    assert found.evidence.source == "cross-validation by query, 5 folds"
    assert (found.evidence.false_alarms, found.evidence.caught) == (0.025, 0.9)
    by_query = lists("a", answers, others)
    few = calibrate(by_query[:24], WORD_SCORER, LIBRARY, Method.PLATT)
    assert few.separation.clean
    assert few.answers_from is None, "twelve questions show a threshold, and nine of them do not"


def test_halves_keep_queries_whole_and_are_the_same_every_time() -> None:
    rows = drawn(100, 1.0, 0.0, queries=7)
    one, other = halves(rows)
    assert sorted(map(repr, one + other)) == sorted(map(repr, rows))
    assert not {row.query for row in one} & {row.query for row in other}
    assert (len({row.query for row in one}), len({row.query for row in other})) == (4, 3)
    assert halves(rows) == (one, other)
    assert all(a is not b for a, b in pairwise(one))
