"""Pictures of scores: every passage and every bin is in them, and lines only where there are bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerank.calibration.methods import Method
from rerank.calibration.quality import measure_quality
from rerank.calibration.reading import Reading
from tests.parts.looks import candidates, search
from ui.presentation.charts import reliability_chart, scores_charts

RESULT = search(candidates(6), [3, 1])
VALUES = {hit.candidate.chunk.id: 0.9 - hit.rank / 10 for hit in RESULT.after}


def lines(chart: Any) -> list[tuple[float, str]]:
    return [(row["at"], row["name"]) for row in chart["layer"][1]["data"]["values"]]


def test_histograms_hold_every_passage_before_and_after() -> None:
    before, after = scores_charts(RESULT, Reading(Method.PLATT, VALUES))
    assert [row["score"] for row in before["data"]["values"]] == [hit.relevance for hit in RESULT.after]
    assert [row["score"] for row in after["layer"][0]["data"]["values"]] == list(VALUES.values())
    assert lines(after) == [(0.4, "possibly"), (0.7, "highly")]


def test_relative_numbers_have_no_lines_and_sigmoid_starts_from_logits() -> None:
    assert lines(scores_charts(RESULT, Reading(Method.MIN_MAX, VALUES))[1]) == []
    before, _ = scores_charts(RESULT, Reading(Method.SIGMOID, VALUES))
    assert [row["score"] for row in before["data"]["values"]] == [hit.logit for hit in RESULT.after]


def test_the_reliability_diagram_has_a_point_a_bin_with_its_count() -> None:
    relevant = np.array([False, True, True])
    before = measure_quality(np.array([0.22, 0.25, 0.9]), relevant, 1)
    after = measure_quality(np.array([0.1, 0.8, 0.9]), relevant, 1)
    rows = reliability_chart(before, after)["data"]["values"]
    assert [(row["when"], row["labels"], row["observed"]) for row in rows] == [
        ("before", 2, 0.5), ("before", 1, 1.0), ("after", 1, 0.0), ("after", 1, 1.0), ("after", 1, 1.0),
    ]  # fmt: skip
    assert {row["when"] for row in reliability_chart(None, after)["data"]["values"]} == {"after"}
