"""The second of two rerankers on the page, B: its search beside A's, and what is said of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.library.library import Library
from ingest.notices import Notice, NoticeKind
from rerank.agreement import agreement
from rerank.calibration.reading import Choice, Reading, read_result
from rerank.calibration.store import load_for
from rerank.records import FirstLook, Models
from ui.jobs.fused import FusedMarks
from ui.jobs.search import SearchJob, SearchMoment
from ui.presentation.columns import Look
from ui.presentation.formatting import model_title, reranker_title
from ui.presentation.insights import agreement_sentence, insight
from ui.presentation.payload import State
from ui.presentation.remedies import Face, notice_text

AT_ONCE = Notice(
    NoticeKind.AT_ONCE, "A and B ran at the same time, so that each took longer than it does alone."
)


@dataclass(frozen=True, slots=True)
class OtherSearch:
    """B's search: what it was chosen by, and the job at work on the candidates of A's first look.

    ``fused_marks`` are the marks of what is shown only where A's and B's orders are fused.
    """

    choice: str
    job: SearchJob
    fused_marks: FusedMarks = field(default_factory=FusedMarks)

    @property
    def title(self) -> str:
        """B's name as people know it; until it is loaded, what it was chosen by."""
        model = self.models.reranker if self.models is not None else None
        return reranker_title(self.choice) if model is None else model_title(model)

    @property
    def models(self) -> Models | None:
        """The models of the answer, once there is one."""
        so_far = self.job.now().so_far
        return None if so_far is None else so_far.models

    def cancel(self) -> None:
        """Ask all work on it to stop soon."""
        self.job.cancel()
        self.fused_marks.cancel()


def kept_or_started(
    last: OtherSearch | None,
    choice: str | None,
    first: FirstLook,
    start: Callable[[], SearchJob],
) -> OtherSearch | None:
    """B's search on this first look, which is A's: the ``last`` one where it is that, else what ``start`` begins.

    ``None`` where no second reranker is chosen; a search that nobody wants any more is stopped, and one that stopped
    because its tab was lost begins again.
    """
    if last is not None and last.choice == choice and last.job.first is first and not last.job.cancelled:
        return last
    if last is not None:
        last.cancel()
    return None if choice is None else OtherSearch(choice, start())


def state_of(moment: SearchMoment) -> State:
    """How far a second look is."""
    if moment.result is not None:
        return "done"
    if moment.finished:
        return "failed"
    return "waiting" if moment.progress is None else "scoring"


@dataclass(frozen=True, slots=True)
class Beside:
    """What is drawn of B at one moment; ``reading`` is how its scores are read, ``cut`` what is hidden."""

    title: str
    moment: SearchMoment
    reading: Reading | None = None
    cut: float | None = None

    @classmethod
    def now(cls, search: OtherSearch) -> Beside:
        """B as it stands."""
        return cls(search.title, search.job.now())

    def read(self, library: Library, choice: Choice, temperature: float, hide: bool) -> Beside:
        """The same with its scores read as was chosen for A's; a fitted reading is by a calibration of B's own."""
        result = self.moment.so_far
        if result is None:
            return self
        fitted = load_for(library, result.models).calibration
        wanted = Choice.AUTO if choice is Choice.FITTED else choice
        reading = read_result(result, wanted, fitted if choice is Choice.FITTED else None, temperature)
        return replace(self, reading=reading, cut=reading.cut if hide else None)

    def look(self) -> Look:
        """B's column as far as it is there; without a second look, why."""
        moment, why_not = self.moment, self.moment.result.why_not if self.moment.result is not None else None
        failure = f"There is no second look B. {moment.failure}" if moment.failure else ""
        if why_not is not None:
            failure = notice_text(why_not, Face.PAGE)
        return Look(
            moment.so_far, state_of(moment), moment.progress, self.reading, self.cut,
            name=self.title, failure=failure,
        )  # fmt: skip

    def insights(self, one: SearchMoment, top_k: int) -> list[str]:
        """What B's search teaches, and how A and B agree once both have their orders."""
        mine = self.moment.result
        if mine is None or not mine.reranked:
            return []
        agreed = agreement(one.result, mine, top_k) if one.result is not None else None
        return [f"B: {insight(mine, top_k)}", *([agreement_sentence(agreed)] if agreed is not None else [])]

    def notices(self, one: SearchMoment) -> list[Notice]:
        """What B has to say that A has not said already."""
        of_one = (one.result or one.first).notices
        mine = self.moment.result.notices if self.moment.result is not None else ()
        results = [result for result in (one.result, self.moment.result) if result is not None]
        both_ran = len(results) == 2 and all(result.cached < result.scored for result in results)
        return [*[AT_ONCE] * both_ran, *(n.of(f"B, {self.title}") for n in mine if n not in of_one)]
