"""The answer: the insight of this search, what it cost, both orders, and ways to take them along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from ingest.library.labels import Labels
from ingest.library.library import Library
from rerank.calibration.reading import Reading
from rerank.records import SearchResult
from rerank.search import Searcher
from retrieval.fusion import Fusion
from ui.comparison import comparison
from ui.files.results import as_context, to_csv, to_json, to_trec, zipped
from ui.jobs.fused import fused_moment, mark_fused
from ui.jobs.search import SearchJob, SearchMoment
from ui.jobs.second_reranker import Beside, OtherSearch, state_of
from ui.page.components import problem, quiet, timings
from ui.page.search.calibration import calibration_panel, explain, reading_controls, score_picture
from ui.page.search.judged_questions import Ask, judged_questions
from ui.page.search.judging import labels_panel, note_places, take_judgements, verdict
from ui.page.search.polling import POLL_SECONDS, has_news
from ui.page.state import Judging
from ui.presentation.columns import Drawn, Look
from ui.presentation.formatting import count_of, model_title
from ui.presentation.insights import costs, insight, timing_bar
from ui.presentation.judgements import Shown, shown
from ui.presentation.payload import Payload
from ui.presentation.remedies import Face, notice_text
from ui.presentation.view_model import comparison_payload

# The first slice of a second look takes some 200 ms here: soon enough to wait for it before looking in turns.
FIRST_ORDER_SECONDS = 0.5
COUNTS = (10, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the answer is drawn from: a search, the library and models it ran on, and what was judged so far.

    ``other`` is the search of a second reranker, B, where two are chosen, and ``ensemble`` fuses both to one order;
    ``ask`` asks another question.
    """

    job: SearchJob
    library: Library
    searcher: Searcher
    judging: Judging
    top_k: int
    ask: Ask
    other: OtherSearch | None = None
    ensemble: Fusion | None = None

    @property
    def jobs(self) -> tuple[SearchJob, ...]:
        """The searches that are drawn: A's, and B's where there is one."""
        return (self.job,) if self.other is None else (self.job, self.other.job)

    @property
    def working(self) -> bool:
        """Whether something on the screen will change by itself."""
        marking = self.other is not None and not self.other.fused_marks.finished
        return not all(job.finished for job in self.jobs) or self.judging.fitting or marking

    @property
    def news(self) -> tuple[object, ...]:
        """Something that changes whenever there is more to show."""
        marked = self.other is not None and len(self.other.fused_marks.marks)
        return tuple(job.news for job in self.jobs), self.judging.fitting, marked

    def mark(self) -> None:
        """Begin to mark what only the fused order shows, where there is one now."""
        if self.other is not None and self.ensemble is not None:
            other = self.other
            mark_fused(self.searcher, self.job, other.title, other.job, self.ensemble, other.fused_marks)


def answer(shown_answer: Answer) -> None:
    """The answer as far as it is there, drawn again whenever there is more of it, until it is whole.

    The first look is on the screen while this waits for the first slice of the second, which is then shown at once.
    """
    shown_answer.mark()
    working, waiting = shown_answer.working, not shown_answer.job.finished and not shown_answer.job.has_order
    in_page = True  # its own run of the script, which has to end before anything else is drawn

    def look() -> None:
        seen = shown_answer.news
        _answer(shown_answer, working)
        if working and not in_page and has_news(lambda: shown_answer.news, seen):
            st.rerun(scope="fragment")

    st.fragment(look, run_every=POLL_SECONDS if working else None)()
    in_page = False
    if waiting and shown_answer.job.wait_for_order(FIRST_ORDER_SECONDS):
        st.rerun()


def _answer(shown_answer: Answer, was_working: bool) -> None:
    shown_answer.mark()
    if was_working and not shown_answer.working:
        st.rerun()  # once more, without looking again and again
    job, judging, top_k = shown_answer.job.now(), shown_answer.judging, shown_answer.top_k
    labels = Labels(shown_answer.library)
    note_places(shown_answer.jobs, labels, judging)
    beside = Beside.now(shown_answer.other) if shown_answer.other is not None else None
    # Places are noted of each reranker by itself, whatever is drawn: a verdict is on one.
    alone, second = job.result, beside.moment.result if beside is not None else None
    if beside is not None and shown_answer.ensemble is not None:
        job, beside = fused_moment(job, beside.title, beside.moment, shown_answer.ensemble), None
        job = (
            replace(job, marks={**shown_answer.other.fused_marks.marks, **job.marks})
            if shown_answer.other
            else job
        )
    _insight(job, top_k, beside)
    # The lists come first on the screen, and are drawn last: they show what the controls below them say.
    above, lists = st.container(key="above-lists"), st.container(key="lists")
    chosen = reading = None
    readable = shown_answer.searcher.models.reranker is not None and (
        shown_answer.other is None or shown_answer.ensemble is None
    )
    if readable and (job.result is None or job.result.reranked):
        chosen = reading_controls(shown_answer.library, shown_answer.searcher.models, judging)
        reading = chosen.read(job.so_far) if job.so_far is not None else None
    if reading is not None:
        explain(reading)
    with above:
        weighed = verdict(labels, shown_answer.searcher, job.first.query, judging)
        withheld = _nothing_answers(reading, job, judging)
    if beside is not None and chosen is not None:
        beside = beside.read(shown_answer.library, chosen.choice, chosen.temperature, chosen.hide)
    cut = reading.cut if reading and chosen and chosen.hide else None
    with lists:
        comparison(
            payload(
                job, top_k, reading, cut, withheld=withheld, beside=beside,
                judged=shown(labels.grades(job.first.query), job.result, reading, top_k, judging.confirmed),
            ),
            key="comparison",
            on_judged=partial(
                take_judgements, labels=labels, result=alone, judging=judging, other=second
            ),
        )  # fmt: skip
    if job.result is not None:
        if beside is None or beside.moment.finished:  # files that change under a button are lost to it
            drawn = Drawn(Look(job.result, "done", None, reading, cut, withheld), job.first.before, top_k)
            _take_along(job.result, drawn.last if drawn.hidden else top_k, reading, beside)
        if chosen is not None and reading is not None and reading.values:
            score_picture(job.result, reading)
    if chosen is not None and weighed is not None:
        calibration_panel(shown_answer.library, shown_answer.searcher, weighed, chosen, judging)
    if weighed is not None:
        labels_panel(labels, weighed, judging)
        judged_questions(weighed.judged, shown_answer.ask)


def _insight(job: SearchMoment, top_k: int, beside: Beside | None) -> None:
    result, other = job.result, beside.moment.result if beside else None
    with st.container(border=True, gap="small", key="insights"):
        with st.container(key="insight"):
            sentence = insight(result, top_k) if result else _meanwhile(job)
            st.text(sentence if beside is None else f"A: {sentence}")
        if beside is not None:
            quiet(beside.insights(job, top_k), "agreement")
        # Two rerankers at once take longer than each alone: nothing can be said of what others would cost.
        prices = costs(result, COUNTS) if result and beside is None and not result.parts else ()
        timings(timing_bar(result or job.first, other), prices)
        notices = [*(result or job.first).notices, *(beside.notices(job) if beside else ())]
        quiet([notice_text(notice, Face.PAGE) for notice in notices], "notices")
        if job.failure:
            problem("There is no second look.", job.failure)


def _nothing_answers(reading: Reading | None, job: SearchMoment, judging: Judging) -> str:
    """Say so where nothing answers, with a way to look all the same; what to say in place of the list."""
    if reading is None or not reading.answers_none or job.result is None:
        return ""
    query = job.first.query
    looking = judging.all_the_same == query
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="answers-none"):
        st.text(notice_text(reading.answers_none, Face.PAGE), width="stretch")
        st.button(
            "Hide them again" if looking else "Show the passages all the same",
            key="all-the-same", on_click=_look, args=(judging, None if looking else query),
        )  # fmt: skip
    return "" if looking else "Nothing here answers this, as far as the judged passages tell."


def _look(judging: Judging, query: str | None) -> None:
    judging.all_the_same = query


def _meanwhile(job: SearchMoment) -> str:
    if job.finished:
        return "This is the first look’s order alone: the passages were not reranked."
    if job.progress is None:
        words = f"{count_of(len(job.first.before), 'passage')} found; the second look"
        return f"{words} waits for {count_of(job.ahead, 'other')}." if job.ahead else f"{words} is beginning."
    done, total = job.progress
    rest = f" The rest waits for {count_of(job.ahead, 'other')}." if job.ahead else ""
    return f"{done} of {total} passages read.{rest}"


def payload(
    job: SearchMoment,
    top_k: int,
    reading: Reading | None = None,
    cut: float | None = None,
    *,
    withheld: str = "",
    judged: Shown | None = None,
    beside: Beside | None = None,
) -> Payload:
    """What the comparison shows of a search in its present state (see `comparison_payload`)."""
    first = job.first
    nothing = SearchResult(first.query, first.before, (), first.timings, first.models)
    so_far = job.so_far or nothing
    return comparison_payload(
        query=first.query, before=first.before, result=so_far, top_k=top_k, state=state_of(job),
        progress=job.progress, marks={**(beside.moment.marks if beside else {}), **job.marks}, reading=reading,
        cut=cut, withheld=withheld, judged=judged, other=beside.look() if beside else None,
        name=model_title(first.models.reranker) if first.models.reranker else "no reranker",
    )  # fmt: skip


def _take_along(result: SearchResult, shown: int, reading: Reading | None, beside: Beside | None) -> None:
    """Ways to take the answer along: the first ``shown`` passages as context, the orders whole."""
    other = beside.moment.result if beside else None
    # Of rerankers that are fused, each has an order of its own.
    orders = "All orders" if result.parts else "Both orders" if other is None else "All three orders"
    with st.container(horizontal=True, gap="small", key="take-along"):
        with st.popover("Copy as context"):
            st.text("The shown passages with numbered citations, for a language model.")
            st.code(as_context(result, shown), language=None, wrap_lines=True, height=320)
        # All are made at the click. A file that stands ready is fetched by the browser whenever it changes, and one
        # that is slow to do so finds it gone.
        st.download_button(  # a byte order mark, without which Excel takes UTF-8 for something else
            f"{orders} as CSV", lambda: to_csv(result, reading, other).encode("utf-8-sig"), "second-look.csv",
            "text/csv", on_click="ignore", key="csv",
        )  # fmt: skip
        st.download_button(
            f"{orders} as JSON", lambda: to_json(result, reading, other), "second-look.json", "application/json",
            on_click="ignore", key="json",
        )  # fmt: skip
        st.download_button(
            f"{orders} as TREC runs", lambda: zipped(to_trec(result, other)), "second-look-runs.zip",
            "application/zip", on_click="ignore", key="trec",
            help="Questions and passages go by the ids that your judgements are exported with as TREC qrels.",
        )  # fmt: skip
