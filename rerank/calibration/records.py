"""A fitted calibration: what was learnt, for which models and library, and how well it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.library.library import Library, Manifest
from ingest.library.snapshot import Sketch
from ingest.models.spec import ModelSpec
from ingest.notices import Notice, NoticeKind
from rerank.calibration.curves import Curve
from rerank.calibration.methods import Method
from rerank.calibration.quality import Quality
from rerank.calibration.thresholds import Separation, Threshold
from retrieval.records import CandidateSource

# A library that shares less than this of its passages with what was fitted to is another one.
SAME_LIBRARY = 0.5
# One that has changed by less than this is not worth a word.
WORTH_SAYING = 0.05


@dataclass(frozen=True, slots=True)
class LibraryState:
    """A library as a calibration sees it: how it was made, and what passages it holds."""

    manifest: Manifest
    passages: Sketch

    @classmethod
    def of(cls, library: Library) -> LibraryState:
        """The library as it is now."""
        manifest = library.manifest()
        with library.snapshot() as snapshot:
            return cls(manifest, snapshot.sketch())


@dataclass(frozen=True, slots=True)
class FittedFor:
    """What a calibration holds for: all that gives a passage its logit, and the library that its labels are of.

    ``bi_weight`` is the cosine's share in the logit, and ``window`` how many tokens of a passage are read at most
    (``None``: as many as there is room for). What arithmetic computes it is left out: it is let in only where it
    changes the logits less than labels can tell.
    """

    reranker: str
    revision: str
    bi_weight: float
    window: int | None
    library: LibraryState

    @classmethod
    def of(cls, reranker: ModelSpec, library: LibraryState, window: int | None) -> FittedFor:
        """The pair as it is now."""
        return cls(reranker.name, reranker.revision, reranker.bi_weight, window, library)

    def why_not(self, now: FittedFor) -> str:
        """What has changed since, as a part of a sentence; empty where nothing has."""
        then, new = self.library.manifest, now.library.manifest
        changes = (
            (self.reranker != now.reranker,
             f"it was fitted for the reranker {self.reranker}, and {now.reranker} is used"),
            (self.revision != now.revision,
             f"{now.reranker} is now of revision {now.revision[:12]}, and was of {self.revision[:12]}"),
            (self.bi_weight != now.bi_weight,
             f"the cosine now counts {now.bi_weight:.3g} times in the logit, and did {self.bi_weight:.3g} times"),
            (self.window != now.window,
             f"of a passage the reranker now reads {_read(now.window)}, and did {_read(self.window)}"),
            (then.identity != new.identity,
             f"the library is now of the encoder {new.identity}, and was of {then.identity}"),
            (then != new,
             f"the library's passages are now of {new.chunk_tokens} tokens, cut by version {new.chunker_version}, "
             f"and were of {then.chunk_tokens}, by version {then.chunker_version}"),
            (self.library.passages.shared(now.library.passages) < SAME_LIBRARY,
             f"most of the library's passages are others: {self._growth(now)}"),
        )  # fmt: skip
        return next((why for changed, why in changes if changed), "")

    def drift(self, now: FittedFor) -> str:
        """A sentence on how the library has changed since, where that is worth saying; else empty."""
        then, new = self.library.passages, now.library.passages
        most = max(then.passages, new.passages, 1)
        changed = max(1 - then.shared(new), abs(new.passages - then.passages) / most)
        if changed < WORTH_SAYING:
            return ""
        return (
            f"The library has changed since its calibration was fitted: {self._growth(now)}. Its probabilities and "
            "thresholds may be off until it is fitted again."
        )

    def _growth(self, now: FittedFor) -> str:
        then, new = self.library.passages, now.library.passages
        return (
            f"it had {then.passages:,} passages then and has {new.passages:,} now, and about {then.shared(new):.0%} of "
            "all are in both"
        )


def _read(window: int | None) -> str:
    return "as much as it has room for" if window is None else f"{window} tokens at most"


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


def nothing_answers(calibration: Calibration, logits: NDArray[np.floating]) -> Notice | None:
    """What to show where even the best candidate is below ``answers_from``; else ``None``.

    ``None`` too where that cannot be said: no candidates, or labels that show no such threshold.
    """
    if calibration.answers_from is None or not len(logits):
        return None
    best = float(apply(calibration, logits).max())
    if best >= calibration.answers_from:
        return None
    text = (
        f"Nothing here answers this: the best passage is relevant with a probability of {best:.2g}; where something "
        f"answers, the best one has {calibration.answers_from:.2g} or more."
    )
    return Notice(NoticeKind.NOTHING_ANSWERS, text)
