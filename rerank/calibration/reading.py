"""A result's scores, read by one method: what to call them, where to cut, and whether anything answers at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ingest.errors import UsageError
from ingest.notices import Help, Notice, NoticeKind, Remedy
from rerank.calibration.methods import Method, read
from rerank.calibration.records import Calibration, apply, nothing_answers
from rerank.calibration.thresholds import Threshold
from rerank.records import Bands, SearchResult


class Choice(StrEnum):
    """What a person may ask for; ``auto`` is the fitted calibration where one holds, else the model's own sigmoid."""

    AUTO = "auto"
    FITTED = "fitted"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    MIN_MAX = "min-max"


@dataclass(frozen=True, slots=True)
class Reading:
    """The scores of one result as numbers in [0, 1].

    ``values`` is by chunk id, and empty where the method cannot read the model's scores. ``calibration`` is the
    fitted one, ``None`` for the other methods. ``answers_none`` is what to show where nothing answers, and
    ``notice`` is on what the calibration was fitted to, where that differs from what is read.
    """

    method: Method
    values: Mapping[int, float]
    calibration: Calibration | None = None
    answers_none: Notice | None = None
    notice: Notice | None = None

    @property
    def bands(self) -> Bands | None:
        """The bands to draw; ``None`` where the numbers say nothing of relevance, or there are none."""
        return None if self.method.relative or not self.values else Bands()

    @property
    def threshold(self) -> Threshold | None:
        """The learnt threshold to cut by; ``None`` where none was learnt."""
        return self.calibration.threshold if self.calibration else None

    @property
    def cut(self) -> float | None:
        """From which number on a passage is worth showing: learnt, else the lower edge of the bands."""
        if self.bands is None:
            return None
        return self.threshold.value if self.threshold else self.bands.possibly

    def above(self, result: SearchResult, cut: float) -> int:
        """How many passages are at or above ``cut``: the first ones, since no method changes the order."""
        return sum(self.values[hit.candidate.chunk.id] >= cut for hit in result.after)

    def applied(self, result: SearchResult) -> SearchResult:
        """The result with these numbers as its relevance, ``None`` where they are relative; the same order."""
        numbers = {} if self.method.relative else self.values
        hits = tuple(replace(hit, relevance=numbers.get(hit.candidate.chunk.id)) for hit in result.after)
        return replace(result, after=hits)


def read_result(
    result: SearchResult, choice: Choice, calibration: Calibration | None, temperature: float = 1.0
) -> Reading:
    """Read the reranked passages of ``result``; ``temperature`` is softmax's. A fused score is never read.

    Raises `UsageError` for the fitted method where there is no calibration that holds.
    """
    if choice is Choice.FITTED and calibration is None:
        raise UsageError(
            "No calibration holds for this library and this reranker; fit one.",
            Help(Remedy.CALIBRATE),
        )
    if result.fusion is not None:
        return Reading(Method.SIGMOID if choice in (Choice.AUTO, Choice.FITTED) else Method(choice), {})
    logits = np.array([hit.logit for hit in result.after], dtype=np.float64)
    if calibration is not None and choice in (Choice.AUTO, Choice.FITTED):
        # Before every candidate is scored, the best may be still to come.
        none = nothing_answers(calibration, logits) if result.complete else None
        values = _values(result, apply(calibration, logits))
        return Reading(calibration.method, values, calibration, none, _other_candidates(result, calibration))
    method = Method.SIGMOID if choice is Choice.AUTO else Method(choice)
    reranker = result.models.reranker
    numbers = read(method, logits, reranker.spec, temperature) if reranker is not None else None
    return Reading(method, _values(result, numbers))


def _other_candidates(result: SearchResult, calibration: Calibration) -> Notice | None:
    """Other candidates have another share of relevant ones, which is what a probability is about."""
    then, now = calibration.candidates_from, result.source
    if then is now:
        return None
    text = (
        f"The calibration was fitted to candidates from {then.in_words}, and these are from {now.in_words}: its "
        "probabilities and thresholds may be off."
    )
    return Notice(NoticeKind.CALIBRATION, text)


def _values(result: SearchResult, numbers: NDArray[np.float64] | None) -> dict[int, float]:
    if numbers is None:
        return {}
    ids = [hit.candidate.chunk.id for hit in result.after]
    return dict(zip(ids, numbers.tolist(), strict=True))
