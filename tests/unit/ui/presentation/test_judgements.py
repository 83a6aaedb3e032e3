"""What is suggested for judging, by the very line that the page draws."""

from __future__ import annotations

from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.reading import Reading
from rerank.calibration.records import LibraryState
from rerank.labels.suggest import Reason
from tests.conftest import Desk
from tests.fakes import WORD_SCORER
from tests.parts.looks import candidates, search
from ui.presentation.judgements import shown

# Both orders are the same, so that nothing is suggested but what is in doubt.
RESULT = search(candidates(10), [1])
VALUES = {number: 1.05 - number / 10 for number in range(1, 11)}  # .95, .85, … .05


def suggested(reading: Reading) -> dict[int, str]:
    return dict(shown({}, RESULT, reading, 10, 0).worth)


def test_what_is_near_the_line_that_is_drawn_is_suggested_and_a_learnt_line_moves_it(desk: Desk) -> None:
    near = suggested(Reading(Method.SIGMOID, VALUES))
    assert set(near) == {6, 7}, "nearest to .4 are .45 and .35"
    assert set(near.values()) == {Reason.NEAR_THRESHOLD}
    rows = [Labelled(f"q{n}", float(z), z > 0) for n in range(12) for z in range(-3, 4)]
    fitted = calibrate(rows, WORD_SCORER, LibraryState.of(desk.library), Method.PLATT)
    assert fitted.threshold is not None
    learnt = suggested(Reading(Method.PLATT, VALUES, fitted))
    distances = {number: abs(value - fitted.threshold.value) for number, value in VALUES.items()}
    assert set(learnt) == set(sorted(distances, key=distances.__getitem__)[: len(learnt)])
    assert set(learnt) != set(near)


def test_numbers_of_one_list_have_no_line_to_be_near_to() -> None:
    assert suggested(Reading(Method.MIN_MAX, VALUES)) == {}
