"""A fitted calibration: what was learnt, for which models and library, and how well it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.library import Manifest
from ingest.models import ModelSpec
from rerank.calibration.curves import Curve
from rerank.calibration.methods import Method
from rerank.calibration.quality import Quality
from rerank.calibration.thresholds import Separation, Threshold
from retrieval.records import CandidateSource


@dataclass(frozen=True, slots=True)
class FittedFor:
    """What a calibration holds for: the reranker with its share of the cosine, and how the library was made."""

    reranker: str
    revision: str
    bi_weight: float
    library: Manifest

    @classmethod
    def of(cls, reranker: ModelSpec, library: Manifest) -> FittedFor:
        """The pair as it is now."""
        return cls(reranker.name, reranker.revision, reranker.bi_weight, library)

    def why_not(self, now: FittedFor) -> str:
        """What has changed since, as a part of a sentence; empty where nothing has."""
        then, new = self.library, now.library
        if self.reranker != now.reranker:
            return f"it was fitted for the reranker {self.reranker}, and {now.reranker} is used"
        if self.revision != now.revision:
            return f"{now.reranker} is now of revision {now.revision[:12]}, and was of {self.revision[:12]}"
        if self.bi_weight != now.bi_weight:
            return f"the cosine now counts {now.bi_weight:.3g} times in the logit, and did {self.bi_weight:.3g} times"
        if then.identity != new.identity:
            return f"the library is now of the encoder {new.identity}, and was of {then.identity}"
        if then != new:
            return (
                f"the library's passages are now of {new.chunk_tokens} tokens, cut by version {new.chunker_version}, "
                f"and were of {then.chunk_tokens}, by version {then.chunker_version}"
            )
        return ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Figures on labels that the curve was not fitted to. ``source`` says which, in words.

    ``before`` is the model's own relevance, ``None`` where it has none. ``false_alarms`` is the share of
    queries with a relevant candidate that would be told “nothing here answers this”, ``caught`` the share of
    queries told so once their relevant candidates are taken away; ``None`` where they were not measured.
    """

    source: str
    before: Quality | None
    after: Quality
    false_alarms: float | None = None
    caught: float | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve from logits to probabilities with its thresholds; ``made`` is the day in ISO form.

    ``labels``, ``relevant`` and ``queries`` count what it was fitted to. ``best`` and ``precise`` are ``None``
    where the labels show no clean separation, or ``wanted_precision`` was not asked for or not reached.
    ``answers_from`` is the probability that the best candidate of a list needs for the list to answer at all,
    ``None`` where the labels do not show one. ``notices`` are sentences. ``candidates_from`` is what found the
    passages that were learnt from.
    """

    method: Method
    curve: Curve
    fitted_for: FittedFor
    made: str
    labels: int
    relevant: int
    queries: int
    evidence: Evidence | None
    separation: Separation
    best: Threshold | None
    precise: Threshold | None = None
    wanted_precision: float | None = None
    answers_from: float | None = None
    notices: tuple[str, ...] = ()
    candidates_from: CandidateSource = CandidateSource.VECTORS

    @property
    def threshold(self) -> Threshold | None:
        """The one to cut by: for the wanted precision where there is one, else the F1-best."""
        return self.precise or self.best


def apply(calibration: Calibration, logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of being relevant, shape (n,), in [0, 1], of logits (n,) that an order goes by.

    They never fall where logits rise, but may tie; order by the logit still.
    """
    return calibration.curve.probabilities(logits)


def nothing_answers(calibration: Calibration, logits: NDArray[np.floating]) -> str:
    """The sentence to show where even the best candidate is below ``answers_from``; else empty.

    Empty too where that cannot be said: no candidates, or labels that show no such threshold.
    """
    if calibration.answers_from is None or not len(logits):
        return ""
    best = float(apply(calibration, logits).max())
    if best >= calibration.answers_from:
        return ""
    return (
        f"Nothing here answers this: the best passage is relevant with a probability of {best:.2g}; where something "
        f"answers, the best one has {calibration.answers_from:.2g} or more."
    )
