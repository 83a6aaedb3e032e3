"""The Evaluate view: is reranking helping here? A form, the work while it runs, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from ingest.encoders.base import Encoder
from ingest.library.library import Library
from rerank.evaluation.comparison import Comparison
from ui.jobs.evaluation import EvaluationJob, Outcome, progress_words
from ui.page.components import literal, problem, quiet
from ui.page.evaluate.form import form
from ui.page.state import State
from ui.presentation.evaluation.frontier import frontier_svg
from ui.presentation.evaluation.page_table import table_html
from ui.presentation.evaluation.words import (
    HOW_TO_READ,
    Mover,
    documents_words,
    evidence,
    movers,
    system_names,
    verdict_words,
)
from ui.presentation.formatting import count_of, shortened
from ui.presentation.remedies import Face, notice_text
from ui.settings import Settings

_STYLE = Path(__file__).with_name("evaluation.css")

POLL_SECONDS = 0.7  # a question takes seconds; more often would only take time from the reranker
FEW_MOVERS = 5  # questions listed on each side before the person asks for all
LONGEST_LABEL = 220  # characters of a question that a row shows

OpenQuestion = Callable[[str], None]


def evaluate_view(
    settings: Settings, state: State, library: Library | None, encoder: Encoder, open_question: OpenQuestion
) -> None:
    """Draw the view. ``open_question`` asks a question in the search view; it is called before the next run."""
    st.html(f"<style>{_STYLE.read_text(encoding='utf-8')}</style>")
    st.text(
        "Is reranking helping here? Questions with known answers are asked with and without the second look, and "
        "both orders are measured."
    )
    task = form(settings, state, library, encoder)
    if task is not None:
        state.evaluation = EvaluationJob(task, encoder).start()
        st.rerun()
    if state.evaluation is not None:
        _job(state.evaluation, open_question)


def _job(job: EvaluationJob, open_question: OpenQuestion) -> None:
    if not job.finished:
        st.fragment(_progress, run_every=POLL_SECONDS)(job)
    elif job.outcome is not None:
        _outcome(job.outcome, open_question)
    elif job.failure:
        problem("The evaluation could not be finished.", job.failure)
    else:
        st.text("Stopped. What was scored until then is kept, so the same evaluation goes on from there.")


def _progress(job: EvaluationJob) -> None:
    if job.finished:
        st.rerun()  # once more, whole, without looking again and again
    share, words = progress_words(job.moment, job.cancelled)
    with st.container(key="evaluate-progress", gap="small"):
        st.progress(share, text=words)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button("Cancel", on_click=job.cancel, disabled=job.cancelled, key="evaluate-cancel")
            quiet(["You can go on searching; the evaluation goes on beside it."], "meanwhile")


def _outcome(outcome: Outcome, open_question: OpenQuestion) -> None:
    comparison = outcome.comparison
    with st.container(border=True, gap="small", key="verdict"):
        with st.container(key="insight"):
            st.text(verdict_words(comparison))
        with st.container(key="evidence", gap=None):
            for line in evidence(comparison):
                st.text(line)
        quiet([_about(outcome), *(notice_text(notice, Face.PAGE) for notice in outcome.notices)], "evaluated")
    st.subheader("Systems", anchor=False)
    st.html(table_html(comparison))
    with st.container(key="frontier"):
        st.image(frontier_svg(comparison), alt=_picture(comparison), width="stretch")
    _take_along(outcome)
    _questions(outcome, open_question)
    with st.expander("How to read this"):
        for line in HOW_TO_READ:
            st.text(line)


def _about(outcome: Outcome) -> str:
    comparison = outcome.comparison
    return (
        f"{comparison.name}, split {comparison.split}: {count_of(comparison.queries, 'judged question')}, "
        f"{documents_words(comparison.documents)}. Bi-encoder: {outcome.encoder}."
    )


def _picture(comparison: Comparison) -> str:
    return (
        f"Quality (nDCG@10) against time of {count_of(len(comparison.rows) + 1, 'system')}; the table above has the "
        "figures, a star marks the frontier."
    )


def _questions(outcome: Outcome, open_question: OpenQuestion) -> None:
    """What rose and what fell, by one of the systems."""
    comparison = outcome.comparison
    st.subheader("Questions", anchor=False)
    names = system_names(comparison)
    main = next(place for place, row in enumerate(comparison.rows) if row is comparison.main)
    place = main
    if len(names) > 1:
        place = st.selectbox(
            "Moved by", range(len(names)), index=main, format_func=names.__getitem__, key="evaluate-system",
            persist_state="session", width=420,
        )  # fmt: skip
    fell, rose = movers(outcome.judged, comparison, comparison.rows[place])
    quiet(
        [
            f"nDCG@10 of each question in both orders; {comparison.queries - len(fell) - len(rose)} did not change. "
            "A question opens in the search view, where it is asked of your own library."
        ],
        "questions",
    )
    everything = max(len(fell), len(rose)) > FEW_MOVERS and st.toggle("Show all", key="evaluate-all")
    _listed("Fell", "fell", fell, open_question, everything=everything)
    _listed("Rose", "rose", rose, open_question, everything=everything)


def _listed(
    title: str, kind: str, rows: Sequence[Mover], open_question: OpenQuestion, *, everything: bool
) -> None:
    st.markdown(f"**{title}: {len(rows)}**")
    with st.container(gap=None, key=f"movers-{kind}"):
        for mover in rows if everything else rows[:FEW_MOVERS]:
            _mover(mover, kind, open_question)


def _mover(mover: Mover, kind: str, open_question: OpenQuestion) -> None:
    with st.container(key=f"mover-{kind}-{mover.query}", gap=None):
        st.button(
            literal(shortened(mover.text, LONGEST_LABEL)), type="tertiary",
            key=f"open-{kind}-{mover.query}", on_click=open_question, args=(mover.text,),
        )  # fmt: skip
        st.text("   ".join(filter(None, (mover.badge, mover.figures, mover.places))))


def _take_along(outcome: Outcome) -> None:
    with st.container(horizontal=True, gap="small", key="take-evaluation"):
        for export in outcome.exports:
            st.download_button(
                export.label,
                partial(bytes, export.data),  # fetched at the click, not whenever the page is drawn
                export.name,
                export.kind,
                on_click="ignore",
                key=f"take-{export.label}",
            )
