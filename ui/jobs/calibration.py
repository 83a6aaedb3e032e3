"""Fitting a calibration to the page's own labels, beside the page. Like every job, it never calls Streamlit."""

from __future__ import annotations

from functools import partial

from ingest.errors import ModelError
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.notices import Help, Remedy
from rerank.calibration.calibrate import OF_EACH, calibrate
from rerank.calibration.collect import MIN_GRADE, label_passages
from rerank.calibration.methods import Method
from rerank.calibration.records import Calibration, LibraryState
from rerank.calibration.store import FILE, save
from rerank.search import OnProgress, Searcher
from retrieval.records import CandidateSource
from ui.jobs.job import Job

# Fewer say next to nothing, whatever is fitted to them.
FEWEST_LABELS = 10


class FitJob(Job[Calibration]):
    """Asks every judged question again, which is quick where its scores are kept, fits a curve and saves it.

    One that is stopped saves nothing.
    """

    def __init__(
        self,
        library: Library,
        searcher: Searcher,
        candidates: int,
        method: Method | None = None,
        precision: float | None = None,
        source: CandidateSource = CandidateSource.VECTORS,
    ) -> None:
        """``candidates`` passages come from ``source`` for each question. A ``method`` of ``None`` is the best one in
        cross-validation; for a ``precision`` the threshold is learnt too.
        """
        super().__init__()
        self.progress: tuple[int, int] | None = None
        self._told = False
        self._library = library
        self._fit = partial(
            fit_labels,
            library,
            searcher,
            candidates,
            method,
            precision,
            source=source,
            on_progress=self._hear,
        )

    @property
    def succeeded(self) -> bool:
        """Whether a calibration was fitted and saved."""
        return self.finished and self._future.exception() is None

    def take_news(self) -> bool:
        """Whether it has succeeded since this was asked last."""
        news = self.succeeded and not self._told
        self._told = self._told or news
        return news

    def _run(self) -> Calibration:
        calibration = self._fit()
        save(self._library.folder / FILE, calibration)
        return calibration

    def _hear(self, done: int, total: int) -> None:
        self.stop_if_cancelled("The fit was stopped.")
        self.progress = (done, total)


def fit_labels(
    library: Library,
    searcher: Searcher,
    candidates: int,
    method: Method | None = None,
    precision: float | None = None,
    *,
    source: CandidateSource = CandidateSource.VECTORS,
    on_progress: OnProgress | None = None,
    min_grade: int = MIN_GRADE,
) -> Calibration:
    """A calibration from the library's own labels, not saved: the same for the page and the command line.

    Raises `ModelError` where there is no reranker, `TooFewLabelsError` where nothing can be learnt.
    """
    reranker = searcher.models.reranker
    if reranker is None:
        raise ModelError(
            "There is no reranker whose scores could be calibrated. Choose one.",
            Help(Remedy.CHOOSE, subject="reranker"),
        )
    judged = {
        question: {name: int(grade) for name, grade in grades.items()}
        for question, grades in Labels(library).judgements().items()
    }
    rows = label_passages(judged, searcher, candidates, min_grade, on_progress, source)
    return calibrate(
        rows, reranker.spec, LibraryState.of(library), method, precision, candidates_from=source,
        window=searcher.models.window,
    )  # fmt: skip


def offered(relevant: int, others: int, has_own_relevance: bool) -> list[Method]:
    """The methods that so many labels of either kind allow; none where there are too few, or of one kind only.

    A curve of many steps follows few labels too closely, and so needs more of them; temperature scaling needs a
    model whose scores can be read as relevance.
    """
    if relevant + others < FEWEST_LABELS or not min(relevant, others):
        return []
    methods = [Method.PLATT]
    if has_own_relevance:
        methods.append(Method.TEMPERATURE)
    if min(relevant, others) >= OF_EACH[Method.ISOTONIC]:
        methods.append(Method.ISOTONIC)
    return methods


def why_not_offered(relevant: int, others: int) -> str:
    """What is missing before anything can be fitted, as a sentence; empty where nothing is."""
    missing = FEWEST_LABELS - relevant - others
    if missing > 0:
        return f"{relevant + others} labels so far; {missing} more are needed before a curve can be fitted to them."
    if not relevant:
        return "No passage is judged relevant so far; judge some that are, so that there is a line to find."
    if not others:
        return "Every label says relevant so far; judge some passages that are not, so that there is a line to find."
    return ""
