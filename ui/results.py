"""The answer: the lesson of this search, what it cost, both orders, and ways to take them along."""

from __future__ import annotations

import streamlit as st

from rerank.records import SearchResult
from ui.comparison import comparison
from ui.components import problem, quiet, timings
from ui.export import as_context, to_csv, to_json
from ui.jobs import SearchJob
from ui.lesson import costs, insight, timing_bar
from ui.payload import Payload, State
from ui.view_model import comparison_payload
from ui.words import count_of

POLL_SECONDS = 0.4  # often enough to look alive, seldom enough to leave the cores to the reranker
COUNTS = (10, 50, 100, 200)


def answer(job: SearchJob, top_k: int) -> None:
    """The answer as far as it is there, looked at again and again until it is whole."""
    running = not job.finished
    st.fragment(_answer, run_every=POLL_SECONDS if running else None)(job, top_k, running)


def _answer(job: SearchJob, top_k: int, was_running: bool) -> None:
    if was_running and job.finished:
        st.rerun()  # once more, without looking again and again
    result = job.result
    with st.container(border=True, gap="small", key="lesson"):
        with st.container(key="insight"):
            st.text(insight(result, top_k) if result else _meanwhile(job))
        timings(timing_bar(result or job.first), costs(result, COUNTS) if result else ())
        quiet((result or job.first).notices, "notices")
        if job.failure:
            problem("There is no second look.", job.failure)
    comparison(payload(job, top_k), key="comparison")
    if result is not None:
        _take_along(result, top_k)


def _meanwhile(job: SearchJob) -> str:
    if job.finished:
        return "This is the first look’s order alone: the passages were not reranked."
    if job.progress is None:
        return f"{count_of(len(job.first.before), 'passage')} found; the second look is beginning."
    done, total = job.progress
    return f"{done} of {total} passages read."


def payload(job: SearchJob, top_k: int) -> Payload:
    """What the comparison shows of a search in its present state."""
    first = job.first
    so_far = job.result or SearchResult(first.query, first.before, (), first.timings, first.models)
    return comparison_payload(
        query=first.query, before=first.before, result=so_far, top_k=top_k, state=_state(job),
        progress=job.progress, marks=job.marks,
    )  # fmt: skip


def _state(job: SearchJob) -> State:
    if job.result is not None:
        return "done"
    if job.finished:
        return "failed"
    return "waiting" if job.progress is None else "scoring"


def _take_along(result: SearchResult, top_k: int) -> None:
    with st.container(horizontal=True, gap="small", key="take-along"):
        with st.popover("Copy as context"):
            st.text("The shown passages with numbered citations, for a language model.")
            st.code(as_context(result, top_k), language=None, wrap_lines=True, height=320)
        # A byte order mark, without which Excel takes UTF-8 for something else.
        table = to_csv(result).encode("utf-8-sig")
        st.download_button(
            "Both orders as CSV", table, "second-look.csv", "text/csv", on_click="ignore", key="csv"
        )
        st.download_button(
            "Both orders as JSON", to_json(result), "second-look.json", "application/json",
            on_click="ignore", key="json",
        )  # fmt: skip
