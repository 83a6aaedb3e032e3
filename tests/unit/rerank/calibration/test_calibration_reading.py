"""A result read by each method: same order, and nothing said that the method cannot say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.errors import UsageError
from ingest.library.library import Manifest
from ingest.library.snapshot import Sketch
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.reading import Choice, Reading, read_result
from rerank.calibration.records import Calibration, LibraryState
from rerank.records import SearchResult
from retrieval.records import CandidateSource
from tests.fakes import WORD_ENCODER, WORD_SCORER
from tests.parts.looks import candidates, search


@pytest.fixture
def result() -> SearchResult:
    """Ten passages with logits 2, 1, 0 … −7."""
    found = search(candidates(10), [4, 2])
    assert found.models.reranker is not None
    reranker = replace(found.models.reranker, spec=WORD_SCORER)
    return replace(found, models=replace(found.models, reranker=reranker))


@pytest.fixture
def calibration() -> Calibration:
    rows = [Labelled(f"q{n}", float(z), z > 0) for n in range(12) for z in range(-3, 4)]
    return calibrate(rows, WORD_SCORER, LibraryState(Manifest.of(WORD_ENCODER), Sketch(0, ())), Method.PLATT)


def falling(reading: Reading, result: SearchResult) -> bool:
    numbers = [reading.values[hit.candidate.chunk.id] for hit in result.after]
    return numbers == sorted(numbers, reverse=True) and len(numbers) == 10


@pytest.mark.parametrize("choice", list(Choice))
def test_no_method_changes_the_order(choice: Choice, result: SearchResult, calibration: Calibration) -> None:
    reading = read_result(result, choice, calibration)
    assert falling(reading, result)
    assert [hit.candidate for hit in reading.applied(result).after] == [hit.candidate for hit in result.after]


def test_only_relevance_has_bands_and_a_line(result: SearchResult, calibration: Calibration) -> None:
    fitted = read_result(result, Choice.AUTO, calibration)
    assert fitted.method is Method.PLATT
    assert calibration.threshold is not None
    assert fitted.cut == calibration.threshold.value
    assert read_result(result, Choice.AUTO, None).cut == 0.4
    for choice in (Choice.SOFTMAX, Choice.MIN_MAX):
        reading = read_result(result, choice, calibration)
        assert (reading.bands, reading.cut) == (None, None)
        assert {hit.relevance for hit in reading.applied(result).after} == {None}


def test_passages_above_a_cut_are_the_first_ones(result: SearchResult) -> None:
    reading = read_result(result, Choice.SIGMOID, None)
    assert reading.above(result, 0.5) == 3  # logits 2, 1 and 0
    assert reading.above(result, 0.99) == 0


def test_nothing_answers_is_said_of_whole_results_only(
    result: SearchResult, calibration: Calibration
) -> None:
    strict = replace(calibration, answers_from=1.0)
    assert read_result(result, Choice.FITTED, strict).answers_none is not None
    assert read_result(replace(result, after=result.after[:5]), Choice.FITTED, strict).answers_none is None
    assert read_result(result, Choice.SIGMOID, strict).answers_none is None


def test_candidates_other_than_those_fitted_to_are_said(
    result: SearchResult, calibration: Calibration
) -> None:
    assert read_result(result, Choice.AUTO, calibration).notice is None
    found = read_result(replace(result, source=CandidateSource.WORDS), Choice.AUTO, calibration)
    assert found.notice is not None
    assert found.notice.text == (
        "The calibration was fitted to candidates from vectors, and these are from words (BM25): its probabilities "
        "and thresholds may be off."
    )
    assert (
        read_result(replace(result, source=CandidateSource.WORDS), Choice.SIGMOID, calibration).notice is None
    )


def test_fitted_needs_a_calibration(result: SearchResult) -> None:
    with pytest.raises(UsageError, match="fit one"):
        read_result(result, Choice.FITTED, None)
