"""Fitting a calibration to the page's own labels, beside the page. Like every job, it never calls Streamlit."""

from __future__ import annotations

import threading

from ingest.errors import CancelledError, ModelError
from ingest.labels import Labels
from ingest.library import Library
from rerank.calibration.calibrate import OF_EACH, calibrate
from rerank.calibration.collect import label_passages
from rerank.calibration.methods import Method
from rerank.calibration.records import Calibration
from rerank.calibration.store import FILE, save
from rerank.search import Searcher
from ui.jobs import failure, in_background

# Fewer say next to nothing, whatever is fitted to them.
FEWEST_LABELS = 10


class FitJob:
    """Asks every judged question again, which is quick where its scores are kept, fits a curve and saves it."""

    def __init__(
        self, library: Library, searcher: Searcher, candidates: int, method: Method | None = None
    ) -> None:
        """Start at once. A ``method`` of ``None`` is the best one in cross-validation."""
        self.progress: tuple[int, int] | None = None
        self._told = False
        self._cancelled = threading.Event()
        self._future = in_background(lambda: self._run(library, searcher, candidates, method))

    @property
    def finished(self) -> bool:
        """Whether nothing more will change."""
        return self._future.done()

    @property
    def succeeded(self) -> bool:
        """Whether a calibration was fitted and saved."""
        return self.finished and self._future.exception() is None

    def take_news(self) -> bool:
        """Whether it has succeeded since this was asked last."""
        news = self.succeeded and not self._told
        self._told = self._told or news
        return news

    @property
    def failure(self) -> str:
        """Why nothing was fitted, as a sentence; empty where it was, or was stopped on purpose."""
        return failure(self._future)

    def cancel(self) -> None:
        """Stop after the question in hand; nothing is saved."""
        self._cancelled.set()

    def wait(self, seconds: float) -> None:
        """Wait until the job is finished, however it ends. Raises TimeoutError after ``seconds``."""
        self._future.exception(timeout=seconds)

    def _run(
        self, library: Library, searcher: Searcher, candidates: int, method: Method | None
    ) -> Calibration:
        reranker = searcher.models.reranker
        if reranker is None:
            raise ModelError("There is no reranker whose scores could be calibrated.")
        judged = {
            question: {name: int(grade) for name, grade in given.items()}
            for question, given in Labels(library).judgements().items()
        }
        rows = label_passages(judged, searcher, candidates, on_progress=self._hear)
        found = calibrate(rows, reranker.spec, library.manifest(), method)
        save(library.folder / FILE, found)
        return found

    def _hear(self, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError("The fit was stopped.")
        self.progress = (done, total)


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
