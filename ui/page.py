"""The order of the screen: header, question, side bar, and the answer or what to do to get one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ingest.encoder import Encoder
from ingest.errors import SecondLookError
from ingest.library import Library, Manifest
from rerank.anytime import SecondLookPlan
from rerank.search import MAX_QUERY_CHARACTERS, Searcher
from ui import components, resources, results, samples, sidebar
from ui.jobs import IngestJob, SearchJob
from ui.settings import MAX_RESULTS, Settings, from_environment
from ui.state import (
    BUDGET_KEY,
    CANDIDATES_KEY,
    QUESTION_KEY,
    RERANKER_KEY,
    RESULTS_KEY,
    VIEW_KEY,
    Ask,
    State,
    View,
    current,
)
from ui.uploads import Upload, keep

LOADING = "Loading the models. The first time takes some ten seconds."


def render() -> None:
    """Draw the page once. Every error that Second Look knows becomes its sentence."""
    components.style()
    try:
        _page(from_environment(), current())
    except SecondLookError as error:
        components.problem("Second Look cannot go on like this.", str(error))


def _page(settings: Settings, state: State) -> None:
    _follow_address(state)
    models, view = _header()
    broken: SecondLookError | None = None
    library: Library | None = None
    try:
        library = resources.open_library(settings)
    except SecondLookError as error:
        broken = error
    if view is View.SEARCH:
        _question(state, _has_samples(library))
    with st.sidebar:
        uploads = _sidebar(settings, state, library, usable=broken is None)
    if broken is not None:
        raise broken
    with st.spinner(LOADING, show_time=True):
        encoder = resources.encoder(settings, library)
    if uploads or state.make_sample:
        _start_ingest(settings, state, encoder, uploads)
        st.rerun()
    if view is View.EVALUATE:
        from ui.evaluation_view import evaluate_view  # what evaluates is loaded when it is asked for

        evaluate_view(settings, state, library, encoder, partial(_open_question, state))
        return
    if library is None or not library.documents():
        _nothing_there(settings, state, library)
        return
    with st.spinner(LOADING, show_time=True):
        searcher = resources.searcher(settings, library, _reranker(settings))
    with models:
        components.models_line(searcher.models)
    _answer(state, library, searcher)
    if state.search is not None and state.search.finished:
        resources.choose_engine(settings, searcher)


def _has_samples(library: Library | None) -> bool:
    return library is not None and any(samples.is_sample(document) for document in library.documents())


def _header() -> tuple[DeltaGenerator, View]:
    """The name, the choice of a view, and a place for the models, which are known later."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="header"
    ):
        with st.container(horizontal=True, vertical_alignment="center", gap="medium", width="content"):
            st.title("Second Look", anchor=False, width="content")
            view = st.segmented_control(
                "View", list(View), default=View.SEARCH, required=True, key=VIEW_KEY, bind="query-params",
                label_visibility="collapsed",
            )  # fmt: skip
        return st.container(width="content"), View(view)


def _follow_address(state: State) -> None:
    """Take the question from the address when it changed there: a link that was opened, or the back button."""
    asked = st.query_params.get("q", "")
    if asked != state.url:
        state.url = state.question = asked
        st.session_state[QUESTION_KEY] = asked
        state.forget_answer()


def _question(state: State, examples: bool) -> None:
    with (
        st.form("ask", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="question-row"),
    ):
        st.text_input(
            "Your question", key=QUESTION_KEY, max_chars=MAX_QUERY_CHARACTERS, label_visibility="collapsed",
            placeholder="Ask your documents a question", type="search",
            persist_state="session",
        )  # fmt: skip
        st.form_submit_button("Search", type="primary", on_click=_ask, args=(state, None))
    if examples and (questions := samples.example_questions(samples.QUERIES)):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="examples"):
            st.text("Try:")
            for number, question in enumerate(questions):
                st.button(
                    components.literal(question),
                    key=f"example-{number}",
                    on_click=_ask,
                    args=(state, question),
                )


def _ask(state: State, example: str | None) -> None:
    """Ask what is in the box, or an example; the address says so too."""
    if example is not None:
        st.session_state[QUESTION_KEY] = example
    state.question = st.session_state[QUESTION_KEY]
    state.forget_answer()
    state.url = state.question
    if state.question:
        st.query_params["q"] = state.question
    else:
        st.query_params.pop("q", None)


def _open_question(state: State, question: str) -> None:
    """Ask a question from elsewhere on the page."""
    st.session_state[VIEW_KEY] = View.SEARCH
    _ask(state, question)


def _sidebar(settings: Settings, state: State, library: Library | None, usable: bool) -> Sequence[Upload]:
    uploads = sidebar.add_files(state, usable)
    if library is not None:
        sidebar.documents(library, state)
    sidebar.settings_panel(settings)
    return uploads


def _start_ingest(settings: Settings, state: State, encoder: Encoder, uploads: Sequence[Upload]) -> None:
    """Begin to add files, in a library that is made if need be; the place to drop files is emptied."""
    state.said = ""
    sources, clean_up = keep(uploads) if uploads else (samples.sources(), lambda: None)
    state.make_sample = False
    state.uploader += 1

    def open_library() -> Library:
        return Library.create(settings.library, Manifest.of(encoder.model.spec))

    state.ingest = IngestJob(sources, open_library, encoder, clean_up)


def _nothing_there(settings: Settings, state: State, library: Library | None) -> None:
    """An empty library, or none: what to do."""
    if state.ingesting:
        st.text("The first documents are being added; they can be searched as soon as they are listed.")
        return
    if library is None:
        st.subheader("There is no library yet", anchor=False)
        st.text(f"It will be made in {settings.library} with the first documents.")
    else:
        st.subheader("The library is empty", anchor=False)
    st.text(
        "Drop files into the side bar (on a phone, the arrows at the top left open it), or begin with the "
        "sample documents and see what reranking does."
    )
    if samples.sources():
        st.button("Add the sample documents", type="primary", on_click=_want_samples, args=(state,))


def _want_samples(state: State) -> None:
    state.make_sample = True


def _reranker(settings: Settings) -> str | None:
    chosen: str = st.session_state[RERANKER_KEY]
    return settings.reranker if chosen in (sidebar.AUTOMATIC, settings.reranker) else chosen


def _answer(state: State, library: Library, searcher: Searcher) -> None:
    """The answer to the question that was asked; models run only where what was asked for has changed."""
    if not state.question.strip():
        _nothing_asked()
        return
    generation = library.generation().id
    if state.ask is not None and state.ingesting:
        generation = state.ask.generation  # files are still being added: one new search when they are done
    budget: float | None = st.session_state[BUDGET_KEY]
    ask = Ask(
        state.question, st.session_state[CANDIDATES_KEY], st.session_state[RERANKER_KEY], generation, budget
    )
    if state.search is None or state.ask != ask:
        state.forget_answer()
        first = searcher.first_look(ask.question, ask.candidates)
        state.ask, state.search = ask, SearchJob(searcher, first, MAX_RESULTS, SecondLookPlan(budget))
    results.answer(
        results.Answer(state.search, library, searcher, state.judging, st.session_state[RESULTS_KEY])
    )


def _nothing_asked() -> None:
    st.text(
        "Ask a question in your own words. The first look finds passages by meaning, quickly; the second look "
        "reads each of them beside your question and puts them in order. Both orders are shown side by side."
    )
