"""The answer: the lesson of this search, what it cost, both orders, and ways to take them along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from ingest.labels import Labels
from ingest.library import Library
from rerank.calibration.reading import Reading
from rerank.records import SearchResult
from rerank.search import Searcher
from ui.calibration_panel import (
    calibration_panel,
    explain,
    reading_controls,
    score_picture,
)
from ui.comparison import comparison
from ui.components import problem, quiet, timings
from ui.export import as_context, to_csv, to_json
from ui.jobs import SearchJob
from ui.judgements import Shown, shown
from ui.judging_panel import labels_panel, note_places, take_judgements, verdict
from ui.judging_state import Judging
from ui.lesson import costs, insight, timing_bar
from ui.payload import Payload, State
from ui.view_model import comparison_payload
from ui.words import count_of

POLL_SECONDS = 0.4  # often enough to look alive, seldom enough to leave the cores to the reranker
COUNTS = (10, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the answer is drawn from: a search, the library and models it ran on, and what was judged so far."""

    job: SearchJob
    library: Library
    searcher: Searcher
    judging: Judging
    top_k: int

    @property
    def working(self) -> bool:
        """Whether something on the screen will change by itself."""
        return not self.job.finished or self.judging.fitting


def answer(given: Answer) -> None:
    """The answer as far as it is there, looked at again and again until it is whole."""
    working = given.working
    st.fragment(_answer, run_every=POLL_SECONDS if working else None)(given, working)


def _answer(given: Answer, was_working: bool) -> None:
    if was_working and not given.working:
        st.rerun()  # once more, without looking again and again
    job, judging, top_k = given.job, given.judging, given.top_k
    labels = Labels(given.library)
    note_places(job, labels, judging)
    _lesson(job, top_k)
    # The lists come first on the screen, and are drawn last: they show what the controls below them say.
    above, lists = st.container(key="above-lists"), st.container(key="lists")
    chosen = reading = None
    if given.searcher.models.reranker is not None and (job.result is None or job.result.reranked):
        chosen = reading_controls(given.library, given.searcher.models, judging)
        so_far = job.result or job.partial
        reading = chosen.read(so_far) if so_far is not None else None
    if reading is not None:
        explain(reading)
    with above:
        weighed = verdict(labels, given.searcher, job.first.query, judging)
        withheld = _nothing_answers(reading, job, judging)
    with lists:
        comparison(
            payload(
                job, top_k, reading, reading.cut if reading and chosen and chosen.hide else None, withheld,
                shown(labels, job.first.query, job.result, reading, top_k, judging.confirmed),
            ),
            key="comparison",
            on_judged=partial(take_judgements, labels=labels, result=job.result, judging=judging),
        )  # fmt: skip
    if job.result is not None:
        _take_along(job.result, top_k, reading)
        if chosen is not None and reading is not None and reading.values:
            score_picture(job.result, reading)
    if chosen is not None and weighed is not None:
        calibration_panel(given.library, given.searcher, weighed, chosen, judging)
    if weighed is not None:
        labels_panel(labels, weighed, judging)


def _lesson(job: SearchJob, top_k: int) -> None:
    result = job.result
    with st.container(border=True, gap="small", key="lesson"):
        with st.container(key="insight"):
            st.text(insight(result, top_k) if result else _meanwhile(job))
        timings(timing_bar(result or job.first), costs(result, COUNTS) if result else ())
        quiet((result or job.first).notices, "notices")
        if job.failure:
            problem("There is no second look.", job.failure)


def _nothing_answers(reading: Reading | None, job: SearchJob, judging: Judging) -> str:
    """Say so where nothing answers, with a way to look all the same; what to say in place of the list."""
    if reading is None or not reading.answers_none or job.result is None:
        return ""
    query = job.first.query
    looking = judging.all_the_same == query
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="answers-none"):
        st.text(reading.answers_none, width="stretch")
        st.button(
            "Hide them again" if looking else "Show the passages all the same",
            key="all-the-same", on_click=_look, args=(judging, None if looking else query),
        )  # fmt: skip
    return "" if looking else "Nothing here answers this, as far as the judged passages tell."


def _look(judging: Judging, query: str | None) -> None:
    judging.all_the_same = query


def _meanwhile(job: SearchJob) -> str:
    if job.finished:
        return "This is the first look’s order alone: the passages were not reranked."
    if job.progress is None:
        return f"{count_of(len(job.first.before), 'passage')} found; the second look is beginning."
    done, total = job.progress
    return f"{done} of {total} passages read."


def payload(
    job: SearchJob,
    top_k: int,
    reading: Reading | None = None,
    cut: float | None = None,
    withheld: str = "",
    judged: Shown | None = None,
) -> Payload:
    """What the comparison shows of a search in its present state (see `comparison_payload`)."""
    first = job.first
    nothing = SearchResult(first.query, first.before, (), first.timings, first.models)
    so_far = job.result or job.partial or nothing
    return comparison_payload(
        query=first.query, before=first.before, result=so_far, top_k=top_k, state=_state(job),
        progress=job.progress, marks=job.marks, reading=reading, cut=cut, withheld=withheld, judged=judged,
    )  # fmt: skip


def _state(job: SearchJob) -> State:
    if job.result is not None:
        return "done"
    if job.finished:
        return "failed"
    return "waiting" if job.progress is None else "scoring"


def _take_along(result: SearchResult, top_k: int, reading: Reading | None) -> None:
    with st.container(horizontal=True, gap="small", key="take-along"):
        with st.popover("Copy as context"):
            st.text("The shown passages with numbered citations, for a language model.")
            st.code(as_context(result, top_k), language=None, wrap_lines=True, height=320)
        # A byte order mark, without which Excel takes UTF-8 for something else.
        table = to_csv(result, reading).encode("utf-8-sig")
        st.download_button(
            "Both orders as CSV", table, "second-look.csv", "text/csv", on_click="ignore", key="csv"
        )
        st.download_button(
            "Both orders as JSON", to_json(result, reading), "second-look.json", "application/json",
            on_click="ignore", key="json",
        )  # fmt: skip
