"""An evaluation that runs beside the page: index the documents, ask every question, compare. Knows no Streamlit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ingest.encoders.base import Encoder
from ingest.library.library import Library
from ingest.notices import Notice
from ingest.records import IngestProgress
from rerank.evaluation.comparison import Comparison
from rerank.evaluation.corpus import default_folder, fill_library
from rerank.evaluation.plan import Plan, compare
from rerank.judged.dataset import read_judged_set, read_tuning_set
from rerank.judged.records import JudgedSet
from rerank.search import Searcher
from retrieval.retriever import Retriever
from ui.files.datasets import Dataset, as_uploaded
from ui.files.evaluation import Export, exports
from ui.jobs.job import Job
from ui.presentation.evaluation.words import documents_words
from ui.presentation.formatting import count_of

# Questions that the time left is told from: enough to even out long and short ones, few enough to follow when the
# ones whose scores were kept are over.
PACE_OVER = 12
STOPPED = "The evaluation was stopped."

Openers = Mapping[str, Callable[[Library], Searcher]]


@dataclass(frozen=True, slots=True)
class Task:
    """What to evaluate: a split of a dataset, with these rerankers (by their labels) and the rest of the plan.

    Without rerankers, the plan's first looks are compared alone.
    """

    dataset: Dataset
    split: str
    openers: Openers
    plan: Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, with the files to take along.

    ``encoder`` is the name of the bi-encoder; ``notices`` say what was left out.
    """

    judged: JudgedSet
    encoder: str
    comparison: Comparison
    exports: tuple[Export, ...]
    notices: tuple[Notice, ...]


class Pace:
    """How long the rest takes, told from the last few steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=PACE_OVER + 1)

    def note(self, done: int) -> None:
        """So many steps are done now."""
        self._marks.append((self._clock(), done))

    def left(self, total: int) -> float | None:
        """Seconds until ``total`` steps are done; ``None`` before the second one: the first also loads the model."""
        if len(self._marks) < 2:
            return None
        (began, first), (now, done) = self._marks[0], self._marks[-1]
        return (now - began) / (done - first) * (total - done)


@dataclass(frozen=True, slots=True)
class Moment:
    """How far an evaluation is: ``done`` of ``total`` questions, ``None`` while ``documents`` are indexed.

    ``rate`` counts passages embedded a second. ``left`` is in seconds, ``None`` where it cannot be told yet.
    """

    documents: int = 0
    embedded: int = 0
    rate: float = 0.0
    done: int | None = None
    total: int = 0
    left: float | None = None


class EvaluationJob(Job[None]):
    """One evaluation. ``outcome`` is there when it went well; a stopped one has neither outcome nor failure.

    It stops after the question, or the passages, in hand; their scores are kept.
    """

    def __init__(self, task: Task, encoder: Encoder) -> None:
        """``encoder`` embeds documents and questions."""
        super().__init__()
        self.task = task
        self.outcome: Outcome | None = None
        self.moment = Moment(task.dataset.documents)
        self._encoder = encoder
        self._pace = Pace()

    @property
    def failure(self) -> str:
        """Why it failed, as a sentence with the dataset's own name; empty where it did not."""
        return as_uploaded(super().failure, self.task.dataset.folder, self.task.dataset.name)

    def _run(self) -> None:
        task = self.task
        judged = replace(read_judged_set(task.dataset.folder, task.split), called=task.dataset.name)
        folder = task.dataset.library or default_folder(judged, self._encoder.model.spec)
        library, left_out = fill_library(
            judged, folder, self._encoder, self._indexing, self._cancelled.is_set
        )
        self.stop_if_cancelled(STOPPED)
        self.moment, self._pace = Moment(done=0), Pace()
        openers = {label: partial(open_, library) for label, open_ in task.openers.items()}
        tuning = read_tuning_set(judged) if task.plan.fusion else None
        comparison = compare(
            judged, library, openers, task.plan, tuning, on_progress=self._asked,
            open_first_look=lambda: Searcher(Retriever(library, self._encoder), None),
        )  # fmt: skip
        files, not_made = exports(judged, comparison)
        notices = (*left_out, *comparison.notices, *not_made)
        self.outcome = Outcome(judged, self._encoder.model.name, comparison, files, notices)

    def _indexing(self, progress: IngestProgress) -> None:
        self.moment = Moment(self.task.dataset.documents, progress.done, progress.rate)

    def _asked(self, done: int, total: int) -> None:
        self.stop_if_cancelled(STOPPED)
        self._pace.note(done)
        self.moment = Moment(done=done, total=total, left=self._pace.left(total))


def progress_words(moment: Moment, cancelled: bool) -> tuple[float, str]:
    """How far the evaluation is, 0 to 1 of the present step, and in words."""
    share = moment.done / moment.total if moment.done and moment.total else 0.0
    if cancelled:
        return share, "Stopping after the question in hand; its scores are kept."
    if moment.done is None:
        rate = f", {moment.rate:.0f} a second" if moment.rate >= 1 else ""
        embedded = f"; {moment.embedded:,} passages embedded{rate}" if moment.embedded else ""
        return 0.0, f"1 of 2: indexing {documents_words(moment.documents)}{embedded}"
    if not moment.total:
        return 0.0, "2 of 2: loading the models"
    left = f", {time_left(moment.left)}" if moment.left is not None and moment.done < moment.total else ""
    return share, f"2 of 2: {moment.done} of {count_of(moment.total, 'question')} asked{left}"


def time_left(seconds: float) -> str:
    """About how long the rest takes: "about 40 s left", "about 3 min left"."""
    if seconds < 10:
        return "some seconds left"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"
